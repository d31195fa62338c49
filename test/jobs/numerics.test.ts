import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { isReady } from "../engines/ready.js";
import { failure } from "./support.js";

const checkPoint = new flow.train.CheckPoint();

test.each(["onnx", "reference", "tensorflow"].filter(isReady))(
  "checkNumerics names the first op with a NaN or infinity (%s)",
  async (engine) => {
    flow.config.engine(engine);
    flow.config.checkNumerics(true);
    const job = flow.globalFunction({ name: "predict", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) => {
      const safe = x.mul(2);
      const logs = flow.math.log(safe, { name: "logs" });
      return flow.math.exp(logs).add(1);
    });
    expect((await job([1, 2])).toArray()).toEqual([3, 5].map((v) => expect.closeTo(v, 5)));
    const error = await failure(() => job([1, 0]));
    expect(error.code).toBe("E_NUMERICS");
    expect(error.message).toContain(
      "job 'predict': the result of log 'logs', float32[2], has a NaN or an infinity, the first in this step; the step was not made and no variable changed",
    );
    expect((await failure(() => job([NaN, 1]))).message).toContain("argument 0, float32[2], has a NaN");
  },
);

// float32 overflows where the reference's float64 does not.
test.each(["onnx", "tensorflow"].filter(isReady))(
  "of a train step too: the backward pass by the op it belongs to, variables, the optimizer; nothing changes (%s)",
  async (engine) => {
    flow.config.engine(engine);
    flow.config.checkNumerics(true);
    const job = flow.globalFunction(
      { type: "train", name: "train_job", returns: tp.Numpy },
      [tp.Numpy.Placeholder([1])],
      (x) => {
        const w = flow.getVariable("w", { shape: [1], initializer: flow.onesInitializer() });
        // sqrt(0) is 0, its slope infinite.
        const loss = flow.math.sqrt(w.mul(x), { name: "root" });
        new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [1]), { momentum: 0 }).minimize(loss);
        return loss;
      },
    );
    await checkPoint.init();
    await job([1]);
    const before = (await flow.experimental.getInterfaceBlobValue("w")).data;
    expect((await failure(() => job([0]))).message).toMatch(
      /the result of \w+ in the gradient of sqrt 'root', float32\[1\]/,
    );
    expect((await flow.experimental.getInterfaceBlobValue("w")).data).toEqual(before);
    expect(await job.step()).toBe(1);
    await flow.experimental.setInterfaceBlobValue("w", [3e38]);
    expect((await failure(() => job([4]))).message).toContain("the result of multiply 'multiply_0'");
    await flow.experimental.setInterfaceBlobValue("w", [Number.POSITIVE_INFINITY]);
    expect((await failure(() => job([1]))).message).toContain("variable 'w', float32[1]");
  },
);

test("masks of -infinity that the program writes are its own; without checkNumerics nothing is tested", async () => {
  flow.config.checkNumerics(true);
  const masked = flow.globalFunction({ name: "masked", returns: tp.Numpy }, [tp.Numpy.Placeholder([1, 2])], (x) => {
    const zeros = flow.constant(0, { dtype: flow.int8, shape: [1, 2] });
    return flow.where(zeros, flow.constant(Number.NEGATIVE_INFINITY, { dtype: flow.float, shape: [1, 2] }), x);
  });
  expect((await masked([[1, 2]])).toArray()).toEqual([[1, 2]]);
  await flow.clearDefaultSession();
  const free = flow.globalFunction({ name: "free", returns: tp.Numpy }, [tp.Numpy.Placeholder([1])], (x) =>
    flow.math.log(x),
  );
  expect((await free([0])).item()).toBe(Number.NEGATIVE_INFINITY);
});
