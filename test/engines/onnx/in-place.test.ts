import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { updateInPlace } from "#src/engines/onnx/in-place.js";
import { lower } from "#src/engines/onnx/lower/model.js";
import { fuse } from "#src/engines/onnx/rewrite.js";
import { openRuntime } from "#src/engines/onnx/session/runtime.js";
import { defaultSession } from "#src/job/session.js";

afterEach(() => flow.clearDefaultSession());
const folder = await mkdtemp(join(tmpdir(), "onestep-in-place-"));
afterAll(() => rm(folder, { recursive: true }));

// The runtime's own binding has no buffers to write results into.
const { kind } = await openRuntime();

const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.01]);
const clipped = { gradClipping: flow.optimizer.gradClipping.byGlobalNorm(0.5) };
const optimizers: Readonly<Record<string, () => flow.optimizer.Optimizer>> = {
  SGD: () => new flow.optimizer.SGD(rate, { momentum: 0 }),
  "momentum, clipped": () => new flow.optimizer.SGD(rate, { momentum: 0.9, ...clipped }),
  Adam: () => new flow.optimizer.Adam(rate),
  "Adam, scheduled": () => new flow.optimizer.Adam(new flow.optimizer.InverseTimeScheduler(0.01, 10, 0.5)),
  "Adam, corrected and clipped": () => new flow.optimizer.Adam(rate, { doBiasCorrection: true, ...clipped }),
  AdamW: () => new flow.optimizer.AdamW(rate, { weightDecay: 0.01, ...clipped }),
  "RMSProp, centered": () => new flow.optimizer.RMSProp(rate, { centered: true }),
  LARS: () => new flow.optimizer.LARS(rate),
  LAMB: () => new flow.optimizer.LAMB(rate, { weightDecay: 0.01 }),
  LazyAdam: () => new flow.optimizer.LazyAdam(rate),
};

/** A job with a convolution, batch norm, dropout, a table by rows, a weight used twice, tied by transposition, and frozen. */
function net(optimizer: () => flow.optimizer.Optimizer) {
  const functionConfig = flow.functionConfig();
  // LARS and LAMB need the norm of the whole table.
  if (!/LARS|LAMB/.test(optimizer().name))
    functionConfig.indexedSlicesOptimizerConf({ include_op_names: { op_name: ["table"] } });
  const initializer = flow.randomNormalInitializer(0, 0.3);
  return flow.globalFunction(
    { type: "train", name: "net", functionConfig, returns: [tp.Numpy, tp.Numpy] },
    [
      tp.Numpy.Placeholder([4, 2, 6, 6]),
      tp.Numpy.Placeholder([4, 3], { dtype: flow.int32 }),
      tp.Numpy.Placeholder([4], { dtype: flow.int32 }),
    ],
    (images, ids, labels) => {
      const table = flow.getVariable("table", { shape: [11, 8], initializer });
      const square = flow.getVariable("square", { shape: [8, 8], initializer });
      const frozen = flow.getVariable("frozen", { shape: [8, 8], initializer, trainable: false });
      const scale = flow.getVariable("scale", { shape: [4, 8], initializer });
      const conv = flow.layers.conv2d(images, 4, 3, { padding: "SAME", name: "conv" });
      const normed = flow.nn.relu(flow.layers.batchNormalization(conv, { axis: 1, name: "bn" }));
      const flat = flow.nn.dropout(flow.reshape(normed, [4, -1]), 0.2);
      const dense = flow.layers.dense(flat, 8, { name: "dense", kernelInitializer: initializer });
      const words = flow.math.reduceSum(flow.gather(table, ids), { axis: [1] });
      let x = dense.add(words).mul(scale);
      x = flow.math.tanh(flow.matmul(x, square));
      x = flow.matmul(flow.matmul(x, square, { transposeB: true }), frozen);
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, x);
      optimizer().minimize(loss);
      return [loss, square];
    },
  );
}

const batch = (i: number) =>
  [
    Float32Array.from({ length: 4 * 72 }, (_, k) => Math.sin(k * 1.7 + i)),
    Int32Array.from({ length: 12 }, (_, k) => (k * 5 + i * 3) % 11),
    Int32Array.from({ length: 4 }, (_, k) => (k + i) % 8),
  ] as const;

/** Everything that 50 steps give: losses, returned weights, and every variable at the end. */
async function trained(optimizer: () => flow.optimizer.Optimizer, inPlaceFrom: number) {
  await flow.clearDefaultSession();
  flow.config.engine("onnx");
  flow.config.seed(3);
  defaultSession().settings.inPlaceFrom = inPlaceFrom;
  const job = net(optimizer);
  await new flow.train.CheckPoint().init();
  const calls: number[][] = [];
  for (let i = 0; i < 50; i++) {
    const [loss, square] = await job(...batch(i));
    calls.push([...loss.data, ...square.data].map(Number));
  }
  return { calls, values: await allValues() };
}

async function allValues(): Promise<ReadonlyMap<string, readonly number[]>> {
  const session = defaultSession();
  const values = new Map<string, readonly number[]>();
  for (const { name } of session.registry.all()) values.set(name, [...(await session.read(name)).data].map(Number));
  return values;
}

/** The variables of a job of the session that are updated in place. */
function inPlaceOf(job: string): readonly string[] {
  const { graph, context } = defaultSession().job(job).latest.compiled.whole.native;
  const model = lower(job, fuse(graph, context));
  return [...updateInPlace(model, new Set(graph.updates.keys()), graph.checks).inPlace].sort();
}

/** What `run` gives in place, which is what it gives with second buffers. */
async function same<T>(run: (path: string) => Promise<T>): Promise<T> {
  const results: T[] = [];
  for (const inPlaceFrom of [Infinity, 0]) {
    await flow.clearDefaultSession();
    flow.config.engine("onnx");
    flow.config.seed(3);
    defaultSession().settings.inPlaceFrom = inPlaceFrom;
    results.push(await run(join(folder, `${runs++}`)));
  }
  expect(results[1]).toEqual(results[0]);
  return results[1]!;
}
let runs = 0;

/** A job whose large variables `wide` and `square` others share. */
function shared(
  name: string,
  optimizer: flow.optimizer.Optimizer | undefined,
  dtype: flow.DType = flow.float,
  accumulate = 1,
) {
  return flow.globalFunction(
    { type: optimizer === undefined ? "predict" : "train", name, returns: tp.Numpy },
    [tp.Numpy.Placeholder([4, 8])],
    (given) => {
      const initializer = flow.randomNormalInitializer(0, 0.3);
      const x = flow.cast(given, dtype);
      const wide = flow.getVariable("wide", { shape: [8, 64], dtype, initializer });
      const square = flow.getVariable("square", { shape: [64, 64], dtype, initializer });
      const y = flow.math.tanh(flow.matmul(flow.math.tanh(flow.matmul(x, wide)), square));
      const loss = flow.math.reduceMean(flow.math.square(y.sub(0.25)));
      optimizer?.minimize(loss, { accumulate });
      return flow.cast(loss, flow.float);
    },
  );
}
const input = (i: number) => Float32Array.from({ length: 32 }, (_, k) => Math.sin(k * 0.9 + i));

describe.each(Object.entries(optimizers))("%s", (_, optimizer) => {
  test("50 steps in place give the bits of 50 with a second buffer", async () => {
    const expected = await trained(optimizer, Infinity);
    expect(expected.calls.flat().every(Number.isFinite)).toBe(true);
    expect(await trained(optimizer, 0)).toEqual(expected);
  });
});

test.runIf(kind === "c-api").each([
  ["a constant rate", rate, []],
  // The learning rate of other updates is made from the counter.
  ["a schedule", new flow.optimizer.InverseTimeScheduler(0.01, 10, 0.5), ["System-Train-TrainStep-net"]],
] as const)("every variable that Adam moves is updated in place, with %s", async (_, schedule, others) => {
  defaultSession().settings.inPlaceFrom = 0;
  net(() => new flow.optimizer.Adam(schedule));
  await new flow.train.CheckPoint().init();
  const inPlace = new Set(inPlaceOf("net"));
  const updated = [...defaultSession().job("net").latest.compiled.whole.native.graph.updates.keys()];
  expect(updated.filter((name) => !inPlace.has(name))).toEqual(others);
});

test("a step that a label's check refuses changes nothing", async () => {
  flow.config.engine("onnx");
  flow.config.seed(1);
  defaultSession().settings.inPlaceFrom = 0;
  const job = net(optimizers.Adam!);
  await new flow.train.CheckPoint().init();
  await job(...batch(0));
  const all = async () =>
    await Promise.all(
      defaultSession()
        .registry.all()
        .map(async ({ name }) => [name, [...(await defaultSession().read(name)).data]]),
    );
  const before = await all();
  const [images, ids] = batch(1);
  await expect(job(images, ids, Int32Array.of(0, 1, 8, 2))).rejects.toThrow(
    /8 is outside \[0, 7\].*no variable changed/,
  );
  expect(await all()).toEqual(before);
  await job(...batch(1));
  expect(await all()).not.toEqual(before);
});

test("a numeric check of next values keeps the second buffer, and refuses the step", async () => {
  flow.config.engine("onnx");
  flow.config.checkNumerics(true);
  defaultSession().settings.inPlaceFrom = 0;
  const job = flow.globalFunction(
    { type: "train", name: "bad", returns: tp.Numpy },
    [tp.Numpy.Placeholder([2])],
    (x) => {
      const w = flow.getVariable("w", { shape: [2], initializer: flow.onesInitializer() });
      const loss = flow.math.reduceSum(flow.math.log(x).mul(w));
      new flow.optimizer.SGD(rate, { momentum: 0.9 }).minimize(loss);
      return loss;
    },
  );
  await new flow.train.CheckPoint().init();
  await job([1, 2]);
  const before = await defaultSession().read("w");
  await expect(job([0, 1])).rejects.toThrow(/no variable changed/);
  expect(await defaultSession().read("w")).toEqual(before);
});

test("two train jobs and a predict job that share variables see each other's steps", async () => {
  const losses = await same(async () => {
    const adam = shared("adam", new flow.optimizer.Adam(rate));
    const momentum = shared("momentum", new flow.optimizer.SGD(rate, { momentum: 0.9 }));
    const predict = shared("predict", undefined);
    await new flow.train.CheckPoint().init();
    // Handed over at once: only the queue keeps them apart.
    const calls = Array.from({ length: 10 }, (_, i) => [
      adam(input(i)),
      predict(input(0)),
      momentum(input(i)),
      predict(input(0)),
    ]);
    const values = (await Promise.all(calls.flat())).map((value) => value.item());
    for (const name of ["adam", "momentum"])
      expect(inPlaceOf(name)).toEqual(expect.arrayContaining(["square", "wide"]));
    return [values, await allValues()] as const;
  });
  const predicted = losses[0].filter((_, i) => i % 2 === 1);
  expect(new Set(predicted).size).toBe(predicted.length);
});

test("a save in the background holds the values of its turn, whatever steps run meanwhile", async () => {
  await same(async (path) => {
    const job = shared("job", new flow.optimizer.Adam(rate));
    const checkPoint = new flow.train.CheckPoint();
    await checkPoint.init();
    for (let i = 0; i < 3; i++) await job(input(i));
    const before = await allValues();
    const saving = checkPoint.save(path, { background: true });
    const steps = Array.from({ length: 20 }, (_, i) => job(input(i)));
    await Promise.all([saving, ...steps]);
    const after = await allValues();
    expect(after.get("square")).not.toEqual(before.get("square"));
    await checkPoint.load(path);
    expect(await allValues()).toEqual(before);
    return [before, after] as const;
  });
});

test("loads and writes between steps count", async () => {
  await same(async (path) => {
    const job = shared("job", new flow.optimizer.Adam(rate));
    const checkPoint = new flow.train.CheckPoint();
    await checkPoint.init();
    const first = (await job(input(0))).item();
    await checkPoint.save(path);
    const second = (await job(input(1))).item();
    await checkPoint.load(path);
    expect((await job(input(1))).item()).toBe(second);
    await checkPoint.load(path, { resume: false });
    await checkPoint.load(path);
    expect((await job(input(1))).item()).toBe(second);
    await defaultSession().write("square", {
      dtype: "float32",
      shape: [64, 64],
      data: new Float32Array(64 * 64).fill(0.01),
    });
    const third = (await job(input(1))).item();
    expect(third).not.toBe(second);
    await checkPoint.init();
    expect((await job(input(0))).item()).toBe(first);
    return [first, second, third, await allValues()] as const;
  });
});

test("accumulated gradients", async () => {
  await same(async () => {
    const job = shared("job", new flow.optimizer.Adam(rate), flow.float, 3);
    await new flow.train.CheckPoint().init();
    const losses: number[] = [];
    for (let i = 0; i < 9; i++) losses.push((await job(input(i))).item());
    // Sums of gradients are added up by a Gemm and set to zeros that nothing computes: they keep a second buffer.
    expect(inPlaceOf("job")).toEqual([
      "System-Train-TrainStep-job",
      "square",
      "square-m",
      "square-v",
      "wide",
      "wide-m",
      "wide-v",
    ]);
    return [losses, await allValues()] as const;
  });
});

test.each([
  ["float64", flow.float64],
  ["float16", flow.float16],
] as const)("%s variables", async (_, dtype) => {
  await same(async (path) => {
    const job = shared("job", new flow.optimizer.Adam(rate), dtype);
    const checkPoint = new flow.train.CheckPoint();
    await checkPoint.init();
    const losses: number[] = [];
    for (let i = 0; i < 5; i++) losses.push((await job(input(i))).item());
    if (dtype === flow.float64) expect(inPlaceOf("job")).toEqual(expect.arrayContaining(["square", "wide"]));
    await checkPoint.save(path);
    const saved = await allValues();
    losses.push((await job(input(5))).item());
    await checkPoint.load(path);
    expect(await allValues()).toEqual(saved);
    expect((await job(input(5))).item()).toBe(losses.at(-1));
    return [losses, await allValues()] as const;
  });
});
