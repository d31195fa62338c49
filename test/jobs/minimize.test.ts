import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { failure, tinyImages, tinyJob, tinyLabels } from "./support.js";

const checkPoint = new flow.train.CheckPoint();
const sgd = (values: number[] = [0.5], boundaries: number[] = []) =>
  new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler(boundaries, values), { momentum: 0 });
const variable = (name: string): flow.Blob =>
  flow.getVariable(name, { shape: [2], initializer: flow.onesInitializer() });

test.each(["onnx", "reference"])("gradient norm, learning rate and step as outputs (%s)", async (engine) => {
  flow.config.engine(engine);
  const job = flow.globalFunction(
    { type: "train", name: "train_job", returns: { norm: tp.Numpy, rate: tp.Numpy, step: tp.Numpy } },
    [tp.Numpy.Placeholder([2])],
    (x) => {
      const minimized = sgd([0.5, 0.25], [0]).minimize(flow.math.reduceSum(variable("w").mul(x)));
      return { norm: minimized.gradientNorm, rate: minimized.learningRate, step: minimized.step };
    },
  );
  await checkPoint.init();
  expect(await job.step()).toBe(0);
  expect(await job.learningRate()).toBe(0.5);
  const first = await job([3, 4]);
  expect([first.norm.item(), first.rate.item(), first.step.item()]).toEqual([5, 0.5, 0]);
  expect([await job.step(), await job.learningRate(), await job.learningRate(0)]).toEqual([1, 0.25, 0.5]);
  const second = await job([0, 2]);
  expect([second.norm.item(), second.rate.item(), second.step.item()]).toEqual([2, 0.25, 1]);
});

test("the norm is of averaged and regularized gradients, before clipping", async () => {
  const job = flow.globalFunction({ type: "train", name: "train_job", returns: tp.Numpy }, () => {
    const w = flow.getVariable("w", {
      shape: [4],
      initializer: flow.onesInitializer(),
      regularizer: flow.regularizers.l2(2),
    });
    const clipped = new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [1]), {
      momentum: 0,
      gradClipping: flow.optimizer.gradClipping.byGlobalNorm(1),
    });
    // 1/4 + 2 for each of 4 elements.
    return clipped.minimize(w).gradientNorm;
  });
  await checkPoint.init();
  expect((await job()).item()).toBeCloseTo(4.5, 6);
  const { data } = await flow.experimental.getInterfaceBlobValue("w");
  expect(data[0]).toBeCloseTo(0.5, 6);
});

test("training values can be watched, and not computed with", async () => {
  const norms: number[] = [];
  const job = flow.globalFunction({ type: "train", name: "watched", returns: null }, () => {
    flow.watch(sgd().minimize(variable("w")).gradientNorm, (norm) => norms.push(norm.item()));
  });
  await checkPoint.init();
  await job();
  expect(norms[0]).toBeCloseTo(Math.SQRT1_2, 6);
  const wrong = flow.globalFunction({ type: "train", name: "wrong", returns: tp.Numpy }, () =>
    sgd().minimize(variable("w")).gradientNorm.mul(2),
  );
  expect((await failure(() => wrong())).message).toContain(
    "multiply 'multiply_0' uses gradientNorm of minimize (float32[1]), which exists only after the optimizer; return or watch it",
  );
});

test("freeze leaves the variables that patterns name, and makes no slots for them", async () => {
  const job = tinyJob({
    minimize: (loss) =>
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1])).minimize(loss, {
        freeze: ["dense1-*"],
      }),
  });
  await checkPoint.init();
  const read = (name: string) => flow.experimental.getInterfaceBlobValue(name);
  const [frozen, free] = [await read("dense1-weight"), await read("dense2-weight")];
  for (let i = 0; i < 3; i++) await job(tinyImages, tinyLabels);
  expect((await read("dense1-weight")).data).toEqual(frozen.data);
  expect((await read("dense2-weight")).data).not.toEqual(free.data);
  expect((await read("dense2-weight-momentum")).shape).toEqual([2, 8]);
  expect((await failure(() => read("dense1-weight-momentum"))).code).toBe("E_VARIABLE");
});

test("wrong options of minimize", async () => {
  const message = async (options: object) => {
    const job = tinyJob({ minimize: (loss) => void sgd().minimize(loss, options) });
    const error = await failure(() => job(tinyImages, tinyLabels));
    await flow.clearDefaultSession();
    return error.message;
  };
  expect(await message({ freeze: "conv*" })).toContain(
    "freeze names 'conv*', which fits no trainable variable of job 'train_job'; it has dense1-weight, dense1-bias",
  );
  expect(await message({ freeze: /dense/ })).toContain("depends on no trainable variable that is not frozen");
  expect(await message({ freeze: [3] })).toContain("freeze: a pattern is the number 3");
  expect(await message({ accumulate: 0 })).toContain("accumulate is 0, expected a number of calls of at least 1");
  expect(await message({ acumulate: 2 })).toContain("did you mean 'accumulate'?");
});

test("step and learningRate of a predict job are errors; of a train job before its first value, 0", async () => {
  const predict = flow.globalFunction({ name: "predict", returns: tp.Numpy }, () => variable("w"));
  expect((await failure(() => predict.step())).message).toContain("job 'predict' is a predict job");
  const train = tinyJob();
  expect(await train.step()).toBe(0);
  expect((await failure(() => train.learningRate(-1))).message).toContain("step is -1, expected an integer");
});
