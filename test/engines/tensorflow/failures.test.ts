import * as flow from "onestep";
import { tp } from "onestep";
import { beforeEach, describe, expect, test } from "vitest";
import { bytesOf, type Tensor } from "#src/core/tensor.js";
import { failure, scratch, tinyImages, tinyJob, tinyLabels } from "../../jobs/support.js";
import { isReady } from "../ready.js";

describe.skipIf(!isReady("tensorflow"))("failures on tensorflow, by the public API", () => {
  beforeEach(() => {
    flow.config.engine("tensorflow");
    flow.config.seed(5);
  });

  /** Steps after a failure make what they would have made without it. */
  async function expectUnharmed(job: ReturnType<typeof tinyJob>, before: flow.NdArray): Promise<void> {
    expect((await flow.experimental.getInterfaceBlobValue("dense1-weight")).data).toEqual(before.data);
    await job(tinyImages, tinyLabels);
    expect((await flow.experimental.getInterfaceBlobValue("dense1-weight")).data).not.toEqual(before.data);
  }

  test("memory that TensorFlow cannot have: the error names job and op, no variable changes, and the process goes on", async () => {
    // 2^52 bytes: more than an address has bits for.
    const wide = (x: flow.Blob): flow.Blob =>
      flow.math.reduceSum(flow.math.exp(flow.broadcastTo(x, [2 ** 16, 2 ** 17, 2 ** 17], { name: "greedy-outer" })));
    const train = tinyJob({ name: "train_job", momentum: 0.9 });
    const greedy = flow.globalFunction(
      { type: "train", name: "greedy_job", returns: tp.Numpy },
      [tp.Numpy.Placeholder([1])],
      (x) => {
        const w = flow.getVariable("dense1-weight", { shape: [8, 4], initializer: flow.truncatedNormal(0.5) });
        const loss = wide(x).add(flow.math.reduceSum(w));
        new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [1])).minimize(loss);
        return loss;
      },
    );
    await new flow.train.CheckPoint().init();
    await train(tinyImages, tinyLabels);
    const before = await flow.experimental.getInterfaceBlobValue("dense1-weight");
    // TensorFlow waits ten seconds for memory to be given back.
    const { code, message } = await failure(() => greedy([1]));
    expect(code).toBe("E_ENGINE");
    expect(message).toMatch(/^job 'greedy_job': TensorFlow says: .*OOM when allocating.*\/greedy-outer\//s);
    expect(message).toMatch(/; the step was not made and no variable changed \[E_ENGINE\]$/);
    await expectUnharmed(train, before);
  });

  test("NaN where checkNumerics is on: the first op that made it, and the step is not made", async () => {
    flow.config.checkNumerics(true);
    const train = tinyJob({ momentum: 0.9 });
    await new flow.train.CheckPoint().init();
    await train(tinyImages, tinyLabels);
    const before = await flow.experimental.getInterfaceBlobValue("dense1-weight");
    const bad = tinyImages.map((row) => row.map((x) => x * 1e39));
    const error = await failure(() => train(bad, tinyLabels));
    expect(error.code).toBe("E_NUMERICS");
    expect(error.message).toMatch(/^job 'train_job': argument 0, float32\[8,4\], has a NaN or an infinity/);
    const large = await failure(() =>
      train(
        tinyImages.map((row) => row.map((x) => x * 3e38)),
        tinyLabels,
      ),
    );
    expect(large.message).toMatch(
      /^job 'train_job': the result of matmul in the gradient of matmul 'dense2-matmul', float32\[2,8\], has a NaN/,
    );
    await expectUnharmed(train, before);
  });

  test("labels and indices out of range: the op by name, and the step is not made", async () => {
    const train = tinyJob({ momentum: 0.9 });
    const pick = flow.globalFunction(
      { name: "pick", returns: tp.Numpy },
      [tp.Numpy.Placeholder([3]), tp.Numpy.Placeholder([2], { dtype: flow.int64 })],
      (x, indices) => flow.gather(x, indices, { name: "picked" }),
    );
    await new flow.train.CheckPoint().init();
    await train(tinyImages, tinyLabels);
    const before = await flow.experimental.getInterfaceBlobValue("dense1-weight");
    for (const label of [2, -1]) {
      const { code, message } = await failure(() => train(tinyImages, tinyLabels.with(3, label)));
      expect([code, message]).toEqual([
        "E_LABEL",
        expect.stringMatching(new RegExp(`label ${label} is outside \\[0, 1\\]`)),
      ]);
    }
    const { code, message } = await failure(() => pick([5, 6, 7], [0, 3]));
    expect([code, message]).toEqual(["E_INDEX", expect.stringContaining("'picked'")]);
    expect((await pick([5, 6, 7], [2, 0])).toArray()).toEqual([7, 5]);
    await expectUnharmed(train, before);
  });

  test("a feed of another shape never reaches TensorFlow: the job and the argument are named", async () => {
    const train = tinyJob();
    await new flow.train.CheckPoint().init();
    const { code, message } = await failure(() => train(new Float32Array(31), tinyLabels));
    expect([code, message]).toEqual([
      "E_SHAPE",
      expect.stringMatching(/^job 'train_job', argument 0: got 31 elements/),
    ]);
    expect((await train(tinyImages, tinyLabels)).data.length).toBe(8);
  });

  const ends = {
    float32: new flow.NdArray(Float32Array.of(-0, 1e-45, 3.4028234663852886e38, 0.1), [2, 2]),
    float64: new flow.NdArray(Float64Array.of(-0, 5e-324, 1.7976931348623157e308, 0.1), [2, 2]),
    int8: new flow.NdArray(Int8Array.of(-128, 127, 0, -1), [2, 2]),
    uint8: new flow.NdArray(Uint8Array.of(0, 255, 128, 127), [2, 2]),
    int32: new flow.NdArray(Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 16777217, -1), [2, 2]),
    int64: new flow.NdArray(BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n, -1n), [2, 2]),
  } as const;
  test.each(Object.entries(ends))("%s: fed, returned, assigned, saved and loaded to the bit", async (dtype, value) => {
    const hex = (array: flow.NdArray): string => Buffer.from(bytesOf(array as Tensor)).toString("hex");
    const type = { dtype: dtype as flow.DType };
    const variable = () => flow.getVariable("v", { shape: [2, 2], ...type, initializer: flow.zerosInitializer(type) });
    const put = flow.globalFunction({ name: "put", returns: tp.Numpy }, [tp.Numpy.Placeholder([2, 2], type)], (x) => {
      flow.assign(variable(), x);
      return x;
    });
    const get = flow.globalFunction({ name: "get", returns: tp.Numpy }, variable);
    const checkPoint = new flow.train.CheckPoint();
    await checkPoint.init();
    const back = await put(value as never);
    expect([back.dtype, back.shape, hex(back)]).toEqual([dtype, [2, 2], hex(value)]);
    expect(hex(await get())).toBe(hex(value));
    const folder = `${scratch()}/m`;
    await checkPoint.save(folder);
    await checkPoint.init();
    expect(hex(await get())).toBe("00".repeat(hex(value).length / 2));
    await checkPoint.load(folder);
    expect(hex(await get())).toBe(hex(value));
  });
});
