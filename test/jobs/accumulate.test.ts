import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { failure, scratch } from "./support.js";

const { getInterfaceBlobValue } = flow.experimental;
const engines = ["onnx", "reference"] as const;
const rows = 100;
const images = Array.from({ length: rows }, (_, i) => Array.from({ length: 4 }, (_unused, j) => Math.sin(3 * i + j)));
const labels = Array.from({ length: rows }, (_, i) => (i * i) % 3);

type Make = (schedule: flow.optimizer.Schedule) => flow.optimizer.Optimizer;
const constant = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);

interface Setting {
  readonly make: Make;
  readonly batch: number;
  readonly accumulate?: number;
  readonly freeze?: string;
  readonly schedule?: flow.optimizer.Schedule;
}

/** A train job 4-6-3 with l2 on a weight. Its calls give loss, gradient norm, learning rate and step. */
function trainJob({ make, batch, accumulate = 1, freeze, schedule = constant }: Setting) {
  return flow.globalFunction(
    { type: "train", name: "job", returns: [tp.Numpy, tp.Numpy, tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([batch, 4]), tp.Numpy.Placeholder([batch], { dtype: flow.int32 })],
    (x, y) => {
      const kernelInitializer = flow.truncatedNormal(0.5);
      const hidden = flow.layers.dense(x, 6, {
        activation: flow.math.tanh,
        kernelInitializer,
        kernelRegularizer: flow.regularizers.l2(0.1),
        name: "hidden",
      });
      const logits = flow.layers.dense(hidden, 3, { kernelInitializer, name: "head" });
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(y, logits);
      const { gradientNorm, learningRate, step } = make(schedule).minimize(loss, {
        accumulate,
        ...(freeze === undefined ? {} : { freeze }),
      });
      return [loss, gradientNorm, learningRate, step];
    },
  );
}

const weights = ["hidden-weight", "hidden-bias", "head-weight", "head-bias"];
const read = async (names: readonly string[]): Promise<number[][]> => {
  const values: number[][] = [];
  for (const name of names) values.push(Array.from((await getInterfaceBlobValue(name)).data as Float32Array));
  return values;
};

/** The rows of call `i`, and their labels. */
const part = (i: number, batch: number): [number[][], number[]] => {
  const from = (i * batch) % rows;
  return [images.slice(from, from + batch), labels.slice(from, from + batch)];
};

/** Variables after `updates` updates from batches of `batch`. */
async function trained(
  engine: string,
  setting: Setting,
  updates: number,
  names: readonly string[],
): Promise<number[][]> {
  await flow.clearDefaultSession();
  flow.config.engine(engine);
  flow.config.seed(7);
  const job = trainJob(setting);
  await new flow.train.CheckPoint().init();
  for (let i = 0; i < updates * (setting.accumulate ?? 1); i++) await job(...part(i, setting.batch));
  expect(await job.step()).toBe(updates);
  return await read(names);
}

const clipping = { gradClipping: flow.optimizer.gradClipping.byGlobalNorm(0.05) };
const optimizers: readonly (readonly [name: string, make: Make, slots: readonly string[]])[] = [
  ["SGD", (s) => new flow.optimizer.SGD(s, { momentum: 0 }), []],
  ["SGD, clipped", (s) => new flow.optimizer.SGD(s, { momentum: 0, ...clipping }), []],
  ["momentum", (s) => new flow.optimizer.SGD(s), ["momentum"]],
  [
    "momentum, clipped, loss scaled",
    (s) => new flow.optimizer.SGD(s, { lossScaleFactor: 16, ...clipping }),
    ["momentum"],
  ],
  ["Adam", (s) => new flow.optimizer.Adam(s), ["m", "v"]],
  ["Adam with correction", (s) => new flow.optimizer.Adam(s, { doBiasCorrection: true }), ["m", "v"]],
  [
    "Adam with correction, clipped",
    (s) => new flow.optimizer.Adam(s, { doBiasCorrection: true, ...clipping }),
    ["m", "v"],
  ],
];

test.each(
  engines.flatMap((engine) =>
    optimizers.flatMap((row) => [undefined, "head-*"].map((freeze) => [engine, freeze ?? "nothing", ...row] as const)),
  ),
)("%s: 4 calls of 25 rows update as one of 100, %s frozen, %s", async (engine, frozen, _, make, slots) => {
  const freeze = frozen === "nothing" ? {} : { freeze: frozen };
  const learned = weights.filter((name) => frozen === "nothing" || !name.startsWith("head"));
  const names = [...weights, ...learned.flatMap((name) => slots.map((slot) => `${name}-${slot}`))];
  const first = await trained(engine, { make, batch: 100, ...freeze }, 0, names);
  const whole = await trained(engine, { make, batch: 100, ...freeze }, 3, names);
  const parts = await trained(engine, { make, batch: 25, accumulate: 4, ...freeze }, 3, names);
  for (const [i, name] of names.entries()) {
    for (const [j, value] of parts[i]!.entries())
      expect(Math.abs(value - whole[i]![j]!), `${name}[${j}]`).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(value)));
    if (frozen !== "nothing" && name.startsWith("head")) expect(parts[i]).toEqual(first[i]);
    else expect(parts[i]).not.toEqual(first[i]);
  }
});

test.each(engines)("%s: weights, step and learning rate move at every third call only", async (engine) => {
  flow.config.engine(engine);
  const schedule = new flow.optimizer.PiecewiseConstantScheduler([0, 1], [0.5, 0.25, 0.125]);
  const job = trainJob({ make: (s) => new flow.optimizer.SGD(s), batch: 10, accumulate: 3, schedule });
  await new flow.train.CheckPoint().init();
  const counter = "System-Train-AccumulationStep-job";
  for (let call = 0; call < 9; call++) {
    const before = await read([...weights, "hidden-weight-momentum"]);
    const updates = Math.floor(call / 3);
    expect(await job.step()).toBe(updates);
    expect(await job.learningRate()).toBe([0.5, 0.25, 0.125][updates]);
    expect((await getInterfaceBlobValue(counter)).item()).toBe(call % 3);
    const [, , learningRate, step] = await job(...part(call, 10));
    expect(step.item()).toBe(updates);
    expect(learningRate.item()).toBe([0.5, 0.25, 0.125][updates]);
    const after = await read([...weights, "hidden-weight-momentum"]);
    if (call % 3 === 2) for (const [i, values] of after.entries()) expect(values).not.toEqual(before[i]);
    else expect(after).toEqual(before);
    const [gathered] = await read(["head-bias-accumulated_gradient"]);
    expect(gathered!.every((value) => value === 0)).toBe(call % 3 === 2);
  }
  expect(await job.step()).toBe(3);
});

test.each(engines)("%s: a run saved in the middle of an accumulation resumes to the same bits", async (engine) => {
  const make: Make = (s) => new flow.optimizer.Adam(s, { doBiasCorrection: true, ...clipping });
  const setting = { make, batch: 25, accumulate: 4 };
  const slots = ["accumulated_gradient", "m", "v", "beta1_t", "beta2_t"];
  const names = [
    ...weights,
    ...weights.flatMap((name) => slots.map((slot) => `${name}-${slot}`)),
    "System-Train-TrainStep-job",
    "System-Train-AccumulationStep-job",
  ];
  const folder = `${scratch()}/middle`;
  const results: number[][] = [];
  const bits = async (): Promise<unknown> => {
    const values: unknown[] = [];
    for (const name of names) values.push((await getInterfaceBlobValue(name)).data);
    return values;
  };
  flow.config.engine(engine);
  const job = trainJob(setting);
  const checkPoint = new flow.train.CheckPoint();
  await checkPoint.init();
  for (let i = 0; i < 11; i++) {
    if (i === 6) await checkPoint.save(folder);
    const [loss] = await job(...part(i, 25));
    results.push(loss.toArray() as number[]);
  }
  const straight = await bits();
  await flow.clearDefaultSession();
  flow.config.engine(engine);
  const again = trainJob(setting);
  const report = await new flow.train.CheckPoint().load(folder);
  expect(report.initialized).toEqual([]);
  expect(await again.step()).toBe(1);
  for (let i = 6; i < 11; i++) {
    const [loss] = await again(...part(i, 25));
    expect(loss.toArray()).toEqual(results[i]);
  }
  expect(await bits()).toEqual(straight);
});

test.each(engines)("%s: a call that fails in the middle of an accumulation gathers nothing", async (engine) => {
  flow.config.engine(engine);
  flow.config.seed(7);
  const job = trainJob({ make: (s) => new flow.optimizer.SGD(s), batch: 25, accumulate: 2 });
  await new flow.train.CheckPoint().init();
  await job(...part(0, 25));
  const state = ["head-weight-accumulated_gradient", "System-Train-AccumulationStep-job"];
  const before = await read(state.slice(0, 1));
  const [x, y] = part(1, 25);
  expect((await failure(() => job(x, y.with(3, 7)))).code).toMatch(/^E_(LABEL|INDEX)$/);
  expect(await read(state.slice(0, 1))).toEqual(before);
  expect((await getInterfaceBlobValue(state[1]!)).item()).toBe(1);
  await job(x, y);
  expect(await job.step()).toBe(1);
});
