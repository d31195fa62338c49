import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { lenet } from "../../examples/support/lenet.js";
import { failure, scratch } from "../jobs/support.js";

const checkPoint = new flow.train.CheckPoint();
const rate = (value: number): flow.optimizer.Schedule => new flow.optimizer.PiecewiseConstantScheduler([], [value]);
const numbers = (array: flow.NdArray): number[] => Array.from(array.data, Number);

test("batchNormalization: variables, moving statistics step by step, predict by the moving ones", async () => {
  const x = tp.Numpy.Placeholder([4, 2, 1, 2]);
  const values = Array.from({ length: 16 }, (_, i) => ((i * 7) % 11) / 4 - 1);
  const data = [0, 1, 2, 3].map((n) => [0, 1].map((c) => [values.slice(4 * n + 2 * c, 4 * n + 2 * c + 2)]));
  const train = flow.globalFunction({ type: "train", name: "train", returns: tp.Numpy }, [x], (images) => {
    const y = flow.layers.batchNormalization(images, { axis: 1, momentum: 0.75, name: "bn" });
    new flow.optimizer.SGD(rate(0), { momentum: 0 }).minimize(flow.math.reduceSum(y));
    return y;
  });
  const predict = flow.globalFunction({ type: "predict", name: "predict", returns: tp.Numpy }, [x], (images) =>
    flow.layers.batchNormalization(images, { axis: 1, momentum: 0.75, name: "bn" }),
  );
  await checkPoint.init();
  // Channel c of sample n is values[4n + 2c + k].
  const channel = (c: number): number[] => values.filter((_, i) => Math.floor(i / 2) % 2 === c);
  const mean = [0, 1].map((c) => channel(c).reduce((a, b) => a + b) / 8);
  const variance = [0, 1].map((c) => channel(c).reduce((a, b) => a + (b - mean[c]!) ** 2, 0) / 8);
  const normal = (m: readonly number[], v: readonly number[]): number[] =>
    values.map((value, i) => (value - m[Math.floor(i / 2) % 2]!) / Math.sqrt(v[Math.floor(i / 2) % 2]! + 0.001));
  const close = (got: flow.NdArray, expected: readonly number[]): void => {
    for (const [i, value] of numbers(got).entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(2e-6);
  };

  close(await predict(data), normal([0, 0], [1, 1]));
  let [movingMean, movingVariance] = [
    [0, 0],
    [1, 1],
  ];
  for (let step = 0; step < 3; step++) {
    close(await train(data), normal(mean, variance));
    movingMean = movingMean.map((m, c) => 0.75 * m + 0.25 * mean[c]!);
    movingVariance = movingVariance.map((v, c) => 0.75 * v + 0.25 * variance[c]!);
    close(await predict(data), normal(movingMean, movingVariance));
  }
  const folder = join(scratch(), "model");
  await checkPoint.save(folder);
  expect(
    readdirSync(folder)
      .sort()
      .filter((entry) => entry.startsWith("bn")),
  ).toEqual(["bn-beta", "bn-gamma", "bn-moving_mean", "bn-moving_variance"]);
  const saved = readFileSync(join(folder, "bn-moving_mean", "out"));
  expect(Math.abs(saved.readFloatLE(0) - movingMean[0]!)).toBeLessThan(1e-6);
});

test("batchNormalization: not training, without center and scale, unknown options", async () => {
  const job = flow.globalFunction(
    { type: "train", name: "frozen", returns: tp.Numpy },
    [tp.Numpy.Placeholder([2, 3])],
    (x) => {
      const w = flow.getVariable("w", { shape: [3], initializer: flow.onesInitializer() });
      const y = flow.layers.batchNormalization(x.mul(w), { trainable: false, epsilon: 0.25, name: "a" });
      const z = flow.layers.batchNormalizationAddRelu(x.mul(w), {
        training: false,
        center: false,
        scale: false,
        name: "b",
        addend: x,
      });
      new flow.optimizer.SGD(rate(0), { momentum: 0 }).minimize(flow.math.reduceSum(y.add(z)));
      return y;
    },
  );
  await checkPoint.init();
  const x = [
    [1, 2, 3],
    [4, 5, 6],
  ];
  for (let i = 0; i < 2; i++)
    for (const [n, value] of numbers(await job(x)).entries()) expect(value).toBeCloseTo((n + 1) / Math.sqrt(1.25), 5);
  const folder = join(scratch(), "model");
  await checkPoint.save(folder);
  expect(readdirSync(folder).filter((entry) => entry.startsWith("b-"))).toEqual(["b-moving_mean", "b-moving_variance"]);

  await flow.clearDefaultSession();
  flow.globalFunction({ name: "typo", returns: tp.Numpy }, [tp.Numpy.Placeholder([2, 3])], (blob) =>
    flow.layers.batchNormalization(blob, { momentun: 0.9 } as never),
  );
  expect((await failure(() => checkPoint.init())).message).toMatch(/'?momentun'?.*momentum/s);
});

test("layerNorm: variables of the params axes, gamma counts", async () => {
  const job = flow.globalFunction({ name: "ln", returns: tp.Numpy }, [tp.Numpy.Placeholder([2, 2, 2])], (x) =>
    flow.layers.layerNorm(x, { beginNormAxis: 1, beginParamsAxis: 1, epsilon: 0.75, name: "ln" }),
  );
  await checkPoint.init();
  const folder = join(scratch(), "model");
  await checkPoint.save(folder);
  expect(readFileSync(join(folder, "ln-gamma", "out")).length).toBe(16);
  const y = await job([
    [
      [1, 2],
      [3, 4],
    ],
    [
      [5, 5],
      [5, 5],
    ],
  ]);
  for (const [i, value] of [-1.5, -0.5, 0.5, 1.5, 0, 0, 0, 0].entries())
    expect(y.data[i]).toBeCloseTo(value / Math.sqrt(2), 6);
});

test("conv2d: the default weights are Xavier uniform in either layout", async () => {
  for (const [dataFormat, shape] of [
    ["NCHW", [1, 20, 8, 8]],
    ["NHWC", [1, 8, 8, 20]],
  ] as const) {
    await flow.clearDefaultSession();
    flow.globalFunction({ name: "c", returns: tp.Numpy }, [tp.Numpy.Placeholder(shape)], (x) =>
      flow.layers.conv2d(x, 30, 5, { dataFormat, name: "conv" }),
    );
    await checkPoint.init();
    const folder = join(scratch(), "model");
    await checkPoint.save(folder);
    const bytes = readFileSync(join(folder, "conv-weight", "out"));
    const weights = Array.from({ length: bytes.length / 4 }, (_, i) => Math.abs(bytes.readFloatLE(4 * i)));
    expect(weights.length).toBe(30 * 20 * 25);
    const limit = Math.sqrt(6 / (20 * 25 + 30 * 25));
    expect(Math.max(...weights)).toBeLessThanOrEqual(Math.fround(limit));
    expect(Math.max(...weights)).toBeGreaterThan(0.99 * limit);
  }
});

test("the tree of a saved LeNet, to the byte", async () => {
  const images = tp.Numpy.Placeholder([100, 1, 28, 28]);
  flow.globalFunction(
    { type: "train", name: "train_job", returns: tp.Numpy },
    [images, tp.Numpy.Placeholder([100], { dtype: flow.int32 })],
    (x, y) => {
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(y, lenet(x, { train: true }));
      new flow.optimizer.SGD(rate(0.1), { momentum: 0 }).minimize(loss);
      return loss;
    },
  );
  await checkPoint.init();
  const folder = join(scratch(), "lenet_models_1");
  await checkPoint.save(folder);
  const sizes = Object.fromEntries(
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== "snapshot_done")
      .map(({ name }) => [name, readFileSync(join(folder, name, "out")).length]),
  );
  expect(sizes).toEqual({
    "System-Train-TrainStep-train_job": 8,
    "conv1-bias": 128,
    "conv1-weight": 3200,
    "conv2-bias": 256,
    "conv2-weight": 204800,
    "dense1-bias": 2048,
    "dense1-weight": 6422528,
    "dense2-bias": 40,
    "dense2-weight": 20480,
  });
  expect(readdirSync(folder)).toContain("snapshot_done");
});

test("an index outside fails the step on each engine and nothing is updated", async () => {
  for (const engine of ["onnx", "reference"] as const) {
    await flow.clearDefaultSession();
    flow.config.engine(engine);
    const job = flow.globalFunction(
      { type: "train", name: "look_up", returns: tp.Numpy },
      [tp.Numpy.Placeholder([2], { dtype: flow.int32 })],
      (ids) => {
        const table = flow.getVariable("table", { shape: [3, 2], initializer: flow.onesInitializer() });
        const rows = flow.gather(table, ids, { name: "rows" });
        new flow.optimizer.SGD(rate(1), { momentum: 0 }).minimize(flow.math.reduceSum(rows));
        return table;
      },
    );
    await checkPoint.init();
    for (const [ids, value] of [
      [[0, 3], 3],
      [[-1, 0], -1],
    ] as const) {
      const error = await failure(() => job([...ids]));
      expect(error.code).toBe("E_INDEX");
      expect(error.message).toContain(`gather 'rows': index ${value} is outside [0, 2]`);
    }
    await job([2, 2]);
    expect((await job([0, 1])).toArray()).toEqual([
      [1, 1],
      [1, 1],
      [-1, -1],
    ]);
  }
  await flow.clearDefaultSession();
  flow.config.engine("onnx");
});

test("conv1d and conv3d: variables in each layout, values, defaults and names", async () => {
  const row = tp.Numpy.Placeholder([1, 2, 4]);
  const volume = tp.Numpy.Placeholder([1, 2, 2, 2, 1]);
  const ones = flow.onesInitializer();
  const job = flow.globalFunction({ name: "convolutions", returns: tp.Numpy }, [row, volume], (x, v) => {
    const wide = flow.layers.conv1d(x, 4, 3, { groups: 2, padding: "SAME", name: "grouped" });
    const last = flow.layers.conv1d(flow.transpose(x, { perm: [0, 2, 1] }), 3, [2], {
      dataFormat: "NWC",
      name: "last",
      activation: flow.nn.relu,
      useBias: false,
    });
    const y = flow.layers.conv3d(v, 3, 2, {
      dataFormat: "NDHWC",
      // One entry per axis of the input, in its own order.
      padding: [0, [1, 0], 0, 0, 0],
      kernelInitializer: ones,
      biasInitializer: ones,
    });
    const first = flow.layers.conv3d(flow.transpose(v, { perm: [0, 4, 1, 2, 3] }), 3, 1, { name: "first" });
    return flow.concat([y, wide, last, first].map((blob) => flow.reshape(blob, [-1])));
  });
  await checkPoint.init();
  const counting = new Float32Array([1, 2, 3, 4, 5, 6, 7, 8]);
  const result = numbers(await job(counting, counting));
  // A plane of zeros before: the first place sees 1 + 2 + 3 + 4 and the bias, the second all eight.
  expect(result.slice(0, 6)).toEqual([11, 11, 11, 37, 37, 37]);
  const folder = join(scratch(), "model");
  await checkPoint.save(folder);
  const bytes = (name: string): number => readFileSync(join(folder, name, "out")).length;
  expect(
    readdirSync(folder)
      .filter((name) => /Conv3d|first|grouped|last/.test(name))
      .sort(),
  ).toEqual([
    "Conv3d-bias",
    "Conv3d-weight",
    "first-bias",
    "first-weight",
    "grouped-bias",
    "grouped-weight",
    "last-weight",
  ]);
  expect(["Conv3d-weight", "first-weight", "grouped-weight", "last-weight"].map(bytes)).toEqual([96, 12, 48, 48]);
});

test("conv3d NDHWC keeps its weights channels first, as documented", async () => {
  const v = tp.Numpy.Placeholder([1, 2, 3, 4, 5]);
  let shape: readonly number[] = [];
  flow.globalFunction({ name: "shapes" }, [v], (x) => {
    const y = flow.layers.conv3d(x, 7, [1, 2, 3], { dataFormat: "NDHWC", name: "conv" });
    shape = flow.getVariable("conv-weight").shape;
    return y;
  });
  await checkPoint.init();
  expect(shape).toEqual([7, 5, 1, 2, 3]);
});

test("prelu: slopes per element or shared, their gradient, the kink at 0", async () => {
  const x = tp.Numpy.Placeholder([2, 2, 2]);
  const data = [
    [
      [-1, 2],
      [0, -4],
    ],
    [
      [Infinity, -2],
      [3, -0.5],
    ],
  ];
  const slopes = { alphaInitializer: flow.constantInitializer(0.25) };
  const job = flow.globalFunction(
    { type: "train", name: "train", returns: [tp.Numpy, tp.Numpy, tp.Numpy, tp.Numpy] as const },
    [x],
    (input) => {
      const each = flow.layers.prelu(input, { ...slopes, name: "each" });
      const shared = flow.layers.prelu(input, { ...slopes, sharedAxes: [2], name: "shared" });
      const loss = flow.math.reduceSum(flow.where(flow.math.isFinite(input), each.add(shared), 0));
      const alphas = ["each-alpha", "shared-alpha"].map((name) => flow.getVariable(name));
      const [dx, dEach, dShared] = flow.gradients(loss, [input, ...alphas]) as [flow.Blob, flow.Blob, flow.Blob];
      new flow.optimizer.SGD(rate(0), { momentum: 0 }).minimize(loss);
      return [each, dx, dEach, dShared] as const;
    },
  );
  await checkPoint.init();
  const [y, dx, dEach, dShared] = await job(data);
  expect(y.toArray()).toEqual([
    [
      [-0.25, 2],
      [0, -1],
    ],
    [
      [Infinity, -0.5],
      [3, -0.125],
    ],
  ]);
  expect(numbers(dx)).toEqual([0.5, 2, 0.5, 0.5, 0, 0.5, 2, 0.5]);
  expect([dEach.shape, numbers(dEach)]).toEqual([
    [2, 2],
    [-1, -2, 0, -4.5],
  ]);
  expect([dShared.shape, numbers(dShared)]).toEqual([
    [2, 1],
    [-3, -4.5],
  ]);
  const zeros = flow.globalFunction({ name: "zeros", returns: tp.Numpy }, [x], (input) => flow.layers.prelu(input));
  await checkPoint.init({ onlyMissing: true });
  expect(numbers(await zeros(data)).map((v) => v + 0)).toEqual([0, 2, 0, 0, Infinity, 0, 3, 0]);
});
