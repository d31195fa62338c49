import { setTimeout as sleep } from "node:timers/promises";
import * as flow from "onestep";
import { tp } from "onestep";
import { defaultSession } from "#src/job/session.js";
import { type Made, mistakes, model } from "./model.js";
import { Draw, Recorder } from "./recorder.js";
import { classes } from "./steps.js";

type Numbers = readonly number[];

/** One job of a program, as the numbers its choices are drawn from. */
export interface JobPlan {
  readonly batch: number;
  readonly choices: Numbers;
  /** What is wrong with its function, or nothing. */
  readonly mistake: number | null;
}

/** A program: a model, a train job or none, predict jobs, and the calls made. */
export interface Program {
  readonly seed: number;
  readonly float64: boolean;
  readonly checkNumerics: boolean;
  readonly dropout: boolean;
  readonly shape: Numbers;
  readonly plan: readonly Numbers[];
  readonly train: JobPlan | null;
  readonly predict: readonly JobPlan[];
  readonly calls: readonly Numbers[];
  readonly init: boolean;
}

/** What one call, or one variable, came to: arrays, or the code of its error. */
export type Outcome = { readonly what: string } & (
  | { readonly values: readonly flow.NdArray[] }
  | { readonly code: string; readonly message: string }
);

/** What a program came to on an engine, and its text. */
export interface Run {
  readonly outcomes: readonly Outcome[];
  readonly text: string;
}

/** `nudge` moves every floating feed by that share: how much results move then is how well they are determined. */
export async function run(program: Program, engine: "onnx" | "reference", nudge = 0): Promise<Run> {
  await flow.clearDefaultSession();
  flow.config.engine(engine);
  flow.config.seed(program.seed);
  flow.config.computeThreadPoolSize(1);
  flow.config.checkNumerics(program.checkNumerics);
  const outcomes: Outcome[] = [];
  const lines = [
    `flow.config.engine("${engine}"); flow.config.seed(${program.seed}); flow.config.checkNumerics(${program.checkNumerics});`,
  ];
  const attempt = async (what: string, task: () => Promise<readonly flow.NdArray[]>): Promise<void> => {
    lines.push(what);
    try {
      outcomes.push({ what, values: await withinTime(what, task()) });
    } catch (error) {
      if (!(error instanceof flow.FlowError)) throw error;
      outcomes.push({ what, code: error.code, message: error.message });
    }
  };
  const jobs: DeclaredJob[] = [];
  const text = (): string =>
    [lines[0], ...jobs.flatMap((job) => [`// ${job.name}`, job.header, ...job.recorder.lines]), ...lines.slice(1)].join(
      "\n",
    );
  try {
    for (const [i, plan] of [program.train, ...program.predict].entries())
      if (plan !== null)
        await attempt(`declare ${i}`, async () => {
          jobs.push(declare(program, plan, i === 0 ? "train" : "predict", `job${i}`));
          return [];
        });
    const checkPoint = new flow.train.CheckPoint();
    if (program.init) await attempt("await checkPoint.init()", () => checkPoint.init().then(() => []));
    for (const [i, numbers] of program.calls.entries()) {
      const draw = new Draw(numbers);
      if (jobs.length === 0) break;
      const job = draw.from(jobs);
      const feeds = feedsOf(program, job, draw, i, nudge);
      await attempt(`${job.name}(${describe(feeds)})`, async () => {
        job.watched.length = 0;
        const values = await job.call(feeds, draw);
        return [...values, ...job.watched];
      });
    }
    if (jobs.some(({ type }) => type === "train"))
      await attempt("step", async () => {
        const step = await jobs[0]!.step();
        return [new flow.NdArray(new Float64Array([step]), [1])];
      });
    for (const { name } of defaultSession().registry.all())
      await attempt(`variable ${name}`, async () => [await flow.experimental.getInterfaceBlobValue(name)]);
    return { outcomes, text: text() };
  } catch (error) {
    throw new Error(`${(error as Error).stack}\n\nin the program\n${text()}`, { cause: error });
  } finally {
    await flow.clearDefaultSession();
  }
}

async function withinTime<T>(what: string, task: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = sleep(20_000, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${what} hangs`);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([task, late]);
  } finally {
    timer.abort();
  }
}

interface DeclaredJob {
  readonly name: string;
  readonly type: "train" | "predict";
  readonly header: string;
  recorder: Recorder;
  readonly watched: flow.NdArray[];
  readonly step: () => Promise<number>;
  readonly plan: JobPlan;
  /** How x is fed, and whether x and the labels are one tuple. */
  readonly form: flow.Placeholder["form"];
  readonly tuple: boolean;
  readonly open: boolean;
  readonly int64: boolean;
  readonly call: (feeds: readonly unknown[], draw: Draw) => Promise<readonly flow.NdArray[]>;
}

function declare(program: Program, plan: JobPlan, type: "train" | "predict", name: string): DeclaredJob {
  const draw = new Draw(plan.choices);
  const dtype = program.float64 ? "float64" : "float32";
  const open = draw.once(3);
  const int64 = draw.once(4);
  const shape = [open ? null : plan.batch, ...program.shape] as flow.OpenShape;
  const options = { dtype } as const;
  const x = draw.from<() => flow.Placeholder>([
    () => tp.Numpy.Placeholder(shape, options),
    () => tp.Numpy.Placeholder(shape, options),
    () => new flow.FixedTensorDef(shape, options),
    () => tp.ListNumpy.Placeholder(shape, options),
    () => new flow.MirroredTensorListDef(shape, options),
  ])();
  const labels = tp.Numpy.Placeholder([open ? null : plan.batch], { dtype: int64 ? "int64" : "int32" });
  const tuple = draw.once(3);
  const returns = draw.below(11);
  const rest = plan.choices.slice(8);
  const job: Omit<DeclaredJob, "call" | "step"> & Partial<DeclaredJob> = {
    name,
    type,
    plan,
    form: x.form,
    tuple,
    open,
    int64,
    recorder: new Recorder(),
    watched: [],
    header: `${type} job of ${x.dtype}[${x.shape.map(String).join(",")}] (${x.form}), labels ${labels.dtype}, ${tuple ? "in a tuple" : "two arguments"}, returns ${returns}`,
  };
  const trace = (input: flow.Blob, ids: flow.Blob): unknown => {
    const rec = new Recorder();
    job.recorder = rec;
    return traced(program, plan, type, rec, input, ids, new Draw(rest), returns, job.watched);
  };
  const declared = (flow.globalFunction as (...args: readonly unknown[]) => unknown)(
    { type, name, ...returnTypes(returns) },
    tuple ? [[x, labels]] : [x, labels],
    tuple ? ([input, ids]: [flow.Blob, flow.Blob]) => trace(input, ids) : trace,
  ) as ((...feeds: readonly unknown[]) => unknown) & { step(): Promise<number> };
  const call = async (feeds: readonly unknown[], choose: Draw): Promise<readonly flow.NdArray[]> => {
    const result = declared(...feeds);
    if (typeof result === "function") {
      const values: flow.NdArray[] = [];
      await (result as (callback: (value: unknown) => void) => Promise<void>)(
        (value) => void values.push(...leaves(value)),
      );
      return values;
    }
    if (!(returns === 0) || choose.once(2)) return leaves(await result);
    const value = await (result as flow.JobResult<unknown>).get();
    await new Promise((resolve) => (result as flow.JobResult<unknown>).asyncGet(resolve));
    return leaves(value);
  };
  return Object.assign(job, { call, step: () => declared.step() });
}

/** The return types by number; 0 declares none. */
function returnTypes(kind: number): { returns?: flow.Returns } {
  const types: readonly flow.Returns[] = [
    tp.Numpy,
    tp.ListNumpy,
    tp.ListListNumpy,
    [tp.Numpy, tp.ListNumpy],
    { first: tp.Numpy, more: [tp.Numpy, { last: tp.ListListNumpy, none: null }] },
    tp.Callback(tp.Numpy),
    tp.Callback([tp.Numpy, { second: tp.ListNumpy }]),
    tp.Bundle(tp.Numpy),
    { bundle: tp.Bundle(tp.ListNumpy), one: tp.Numpy },
    null,
  ];
  return kind === 0 ? {} : { returns: types[kind - 1]! };
}

function returned(kind: number, blobs: readonly flow.Blob[]): unknown {
  const [a, b, c] = [blobs.at(-1)!, blobs.at(-2) ?? blobs[0]!, blobs[0]!];
  switch (kind) {
    case 4:
      return [a, b];
    case 5:
      return { first: a, more: [b, { last: c, none: null }] };
    case 7:
      return [a, { second: b }];
    case 0:
    case 8:
      return { all: blobs, nested: [[a], { b }] };
    case 9:
      return { bundle: [a, [b, { c }]], one: c };
    case 10:
      return null;
    default:
      return a;
  }
}

function traced(
  program: Program,
  plan: JobPlan,
  type: "train" | "predict",
  rec: Recorder,
  input: flow.Blob,
  ids: flow.Blob,
  draw: Draw,
  returns: number,
  watched: flow.NdArray[],
): unknown {
  rec.name(input, "input");
  rec.name(ids, "labels");
  const made = model(rec, input, ids, program);
  const outputs = [...made.blobs];
  if (draw.once(3)) {
    rec.note(`flow.watch(${rec.text(made.blobs.at(-2))})`);
    flow.watch(made.blobs.at(-2)!, (value) => void watched.push(value));
  }
  if (plan.mistake !== null && plan.mistake < mistakes.length) {
    const wrong = mistakes[plan.mistake]!(rec, input, made);
    if (wrong instanceof flow.Blob) outputs.push(wrong);
  }
  if (type === "train") {
    if (draw.once(3)) {
      const blob = draw.from(made.blobs);
      rec.note(`flow.watchDiff(${rec.text(blob)})`);
      flow.watchDiff(blob, ([value]) => void watched.push(value), { type: tp.ListNumpy });
    }
    outputs.push(...train(rec, draw, input, ids, made, plan.mistake === null ? -1 : plan.mistake - mistakes.length));
  } else if (draw.once(4)) {
    const first = rec.call("gradients", made.logits, input, { unconnectedGradients: "zero" });
    outputs.push(first, rec.call("gradients", rec.call("math.square", first), input, { unconnectedGradients: "zero" }));
  } else if (plan.mistake === mistakes.length) {
    rec
      .make<flow.optimizer.SGD>("optimizer.SGD", new flow.optimizer.PiecewiseConstantScheduler([], [0.1]))
      .minimize(made.logits);
  } else if (plan.mistake === mistakes.length + 1) return 3;
  else if (plan.mistake === mistakes.length + 2) return Promise.resolve(made.logits);
  else if (plan.mistake === mistakes.length + 3) return [made.logits, [made.logits, "text"]];
  return returned(returns, outputs);
}

function train(
  rec: Recorder,
  draw: Draw,
  input: flow.Blob,
  labels: flow.Blob,
  { logits }: Made,
  mistake: number,
): readonly flow.Blob[] {
  const entropy = (): flow.Blob => rec.call("nn.sparseSoftmaxCrossEntropyWithLogits", labels, logits);
  const loss = draw.from([
    entropy,
    entropy,
    () => rec.call("math.square", rec.call(".sub", logits, 0.5)),
    () => rec.call("math.reduceMean", entropy()),
    () => {
      const slope = rec.call("gradients", logits, input, { unconnectedGradients: "zero" });
      return rec.call(
        ".add",
        entropy(),
        rec.call("math.reduceMean", rec.call("math.square", rec.call("math.tanh", slope))),
      );
    },
    () => rec.call("smoothL1Loss", logits, rec.call("math.sin", logits)),
  ])();
  // Rates that float32 holds: rates are float32, also where the reference engine computes them in float64.
  const schedule = rec.make<flow.optimizer.Schedule>(
    "optimizer.PiecewiseConstantScheduler",
    ...draw.from([
      [[], [0.0625]],
      [
        [0, 1],
        [0.125, 0.03125, 0.0625],
      ],
      [[1], [0.03125, 0.015625]],
    ]),
  );
  const common = {
    ...draw.from([{}, { lossScaleFactor: 8 }]),
    ...(draw.once(3) ? { gradClipping: flow.optimizer.gradClipping.byGlobalNorm(0.5) } : {}),
  };
  const optimizer = draw.from<() => flow.optimizer.Optimizer>([
    () => rec.make("optimizer.SGD", schedule, { momentum: 0, ...common }),
    () => rec.make("optimizer.SGD", schedule, common),
    () => rec.make("optimizer.Adam", schedule, { epsilon: 0.01, ...common }),
    () => rec.make("optimizer.Adam", schedule, { epsilon: 0.01, doBiasCorrection: true, ...common }),
  ])();
  const options = {
    ...draw.from([{}, {}, { accumulate: 2 }, { accumulate: 3 }]),
    ...draw.from([{}, {}, { freeze: "head-bias" }, { freeze: [/head-w/] }]),
  };
  const wrong: readonly (() => unknown)[] = [
    () => optimizer.minimize(rec.call("cast", loss, "int32")),
    () => optimizer.minimize(loss, { accumulate: 0 }),
    () => optimizer.minimize(loss, { freeze: "nothing*" }),
    () => optimizer.minimize(loss, { freze: "head*" } as object),
    () => new flow.optimizer.SGD(0.1 as never),
    () => rec.make("optimizer.SGD", schedule, { momentun: 0.9 }),
    () => optimizer.minimize(loss).learningRate.mul(2),
    () => flow.assign(flow.getVariable("head-bias"), flow.zerosLike(flow.getVariable("head-bias"))),
    () => optimizer.minimize(input),
    () => optimizer.minimize([loss, logits]),
    () => optimizer.minimize([]),
  ];
  if (mistake === 0) return [loss];
  rec.note(`minimize(loss, ${rec.text(options)})`);
  const values = optimizer.minimize(draw.once(4) ? [loss, loss] : loss, options);
  if (mistake > 0) rec.note(`// mistake ${mistake}`);
  const result = mistake > 0 ? wrong[mistake - 1]!() : undefined;
  if (result instanceof flow.Blob) return [result];
  return draw.once(2) ? [values.gradientNorm, values.learningRate, values.step, loss] : [loss];
}

/** Numbers around 0 that differ from element to element, and from call to call. */
function numbers(count: number, seed: number): number[] {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 3 - 1.5;
  });
}

const nested = (values: readonly number[], shape: Numbers): unknown => {
  if (shape.length <= 1) return values;
  const step = values.length / shape[0]!;
  return Array.from({ length: shape[0]! }, (_, i) => nested(values.slice(i * step, (i + 1) * step), shape.slice(1)));
};

/** What a call feeds; one call in eight feeds something wrong. */
function feedsOf(program: Program, job: DeclaredJob, draw: Draw, call: number, nudge: number): readonly unknown[] {
  const batch = job.open ? 1 + draw.below(4) : job.plan.batch;
  const shape = [batch, ...program.shape];
  const values = numbers(
    shape.reduce((a, b) => a * b, 1),
    program.seed + 31 * call,
  ).map((value, i) => value * (1 + (i % 2 === 0 ? nudge : -nudge)));
  const typed = program.float64 ? new Float64Array(values) : new Float32Array(values);
  const ids = Array.from({ length: batch }, (_, i) => (i + call + program.seed) % classes);
  const array = draw.from<() => unknown>([
    () => typed,
    () => nested(values, shape),
    () => new flow.NdArray(typed as never, shape),
  ])();
  const list = job.form === "Numpy" ? array : job.form === "ListNumpy" ? [array] : [[array]];
  const labels = job.int64 && draw.once(2) ? BigInt64Array.from(ids, BigInt) : ids;
  const feeds = (x: unknown, y: unknown): readonly unknown[] => (job.tuple ? [[x, y]] : [x, y]);
  if (!draw.once(8)) return feeds(list, labels);
  return draw.from<() => readonly unknown[]>([
    () => feeds(new Float32Array(97), labels),
    () => feeds(new Int8Array(values.length), labels),
    () => feeds(list, labels).slice(1),
    () => [...feeds(list, labels), 1],
    () => feeds("text", labels),
    () =>
      feeds(
        list,
        ids.map(() => 97),
      ),
    () =>
      feeds(
        list,
        ids.map(() => -1),
      ),
    () =>
      feeds(
        list,
        ids.map(() => 0.5),
      ),
    () => feeds(list, [...ids, 0]),
    () => feeds([[1, 2], [3]], labels),
    () => feeds(undefined, labels),
    () => feeds(null, null),
    () => feeds([list], labels),
    () => feeds(list, { length: batch }),
    () => feeds(array, labels),
    () => feeds([], labels),
    () => feeds(list, [["0"]]),
    () => feeds(new flow.NdArray(typed as never, [values.length]), labels),
    () => feeds(new DataView(new ArrayBuffer(8)), labels),
    () => feeds(new Map(), Symbol.iterator),
  ])();
}

const describe = (feeds: readonly unknown[]): string => {
  const text = (feed: unknown): string =>
    ArrayBuffer.isView(feed)
      ? `${feed.constructor.name}(${(feed as Float32Array).length})`
      : feed instanceof flow.NdArray
        ? `NdArray[${feed.shape.join(",")}]`
        : Array.isArray(feed)
          ? `[${feed.map(text).join(", ")}]`
          : String(feed);
  return feeds.map(text).join(", ");
};

/** The arrays in a result, in order; null counts as none. */
function leaves(value: unknown): flow.NdArray[] {
  if (value instanceof flow.NdArray) return [value];
  if (value === null || value === undefined) return [];
  return Object.values(value as object).flatMap(leaves);
}
