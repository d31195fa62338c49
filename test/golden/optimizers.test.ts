import { readFileSync } from "node:fs";
import * as flow from "onestep";
import { tp } from "onestep";
import { describe, expect, test } from "vitest";
import { isReady } from "../engines/ready.js";
import "../jobs/support.js";

interface Case {
  readonly name: string;
  readonly class: "SGD" | "SGDW" | "Adam" | "AdamW" | "LazyAdam" | "LAMB" | "LARS" | "RMSProp";
  readonly options: Readonly<Record<string, unknown>>;
  readonly clip: number | null;
  /** Sum of the models' mean losses at each step. */
  readonly losses: readonly number[];
  /** After the last step: variables and slots, by name. */
  readonly variables: Readonly<Record<string, readonly number[]>>;
}
const golden = JSON.parse(readFileSync(new URL("./optimizers.json", import.meta.url), "utf8")) as {
  readonly regularizers: Readonly<Record<string, readonly [l1: number, l2: number]>>;
  readonly x: readonly (readonly number[])[];
  readonly y: readonly (readonly number[])[];
  readonly start: Readonly<Record<"weight" | "bias", readonly number[]>>;
  readonly cases: readonly Case[];
};
const shapes = { weight: [3, 2], bias: [2] } as const;
type Part = keyof typeof shapes;

// Every case as it is; those with clipping with a loss scale too, which must change nothing.
const runs = golden.cases.flatMap((run) => [1, ...(run.clip === null ? [] : [1024])].map((scale) => ({ run, scale })));

function variable(model: string, part: Part, dtype: flow.DType): flow.Blob {
  const regularizer = flow.regularizers.l1L2(...golden.regularizers[model]!);
  return flow.getVariable(`${model}-${part}`, {
    shape: shapes[part],
    dtype,
    initializer: flow.zerosInitializer(),
    ...(model === "plain" ? {} : { regularizer }),
  });
}

/** A variable or slot by its name in the golden values. */
function read(name: string, dtype: flow.DType, options: Case["options"]): flow.Blob {
  const [, model, part, slot] = /^(\w+)-(weight|bias)(?:-(.*))?$/.exec(name)!;
  if (slot === undefined) return variable(model!, part as Part, dtype);
  const beta = slot === "beta1_t" ? (options.beta1 ?? 0.9) : slot === "beta2_t" ? (options.beta2 ?? 0.999) : 0;
  return flow.getVariable(name, {
    shape: slot.startsWith("beta") ? [1] : shapes[part as Part],
    dtype,
    initializer: flow.constantInitializer(Number(beta), { dtype }),
  });
}

function minimize({ run, scale }: (typeof runs)[number], losses: readonly flow.Blob[]): void {
  type Class = new (rate: flow.optimizer.Schedule, options: object) => flow.optimizer.Optimizer;
  const Optimizer = flow.optimizer[run.class] as Class;
  new Optimizer(new flow.optimizer.PiecewiseConstantScheduler([3], [0.05, 0.02]), {
    ...run.options,
    ...(scale === 1 ? {} : { lossScaleFactor: scale }),
    ...(run.clip === null ? {} : { gradClipping: flow.optimizer.gradClipping.byGlobalNorm(run.clip) }),
  }).minimize(losses);
}

/** Ten steps in a session of its own; losses, and the last values by name. */
async function train(
  run: (typeof runs)[number],
  dtype: "float32" | "float64",
): Promise<{ readonly losses: readonly number[]; readonly variables: ReadonlyMap<string, readonly number[]> }> {
  const models = Object.keys(golden.regularizers);
  const job = flow.globalFunction(
    { type: "train", name: "train", returns: tp.Numpy },
    [tp.Numpy.Placeholder([4, 3], { dtype }), tp.Numpy.Placeholder([4, 2], { dtype })],
    (x, y) => {
      const losses = models.map((model) => {
        const error = flow
          .matmul(x, variable(model, "weight", dtype))
          .add(variable(model, "bias", dtype))
          .sub(y);
        return flow.math.reduceSum(flow.math.square(error), { axis: 1 });
      });
      minimize(run, losses);
      return flow.math.addN(losses);
    },
  );
  const start = flow.globalFunction(
    { name: "start" },
    [tp.Numpy.Placeholder(shapes.weight, { dtype }), tp.Numpy.Placeholder(shapes.bias, { dtype })],
    (weight, bias) => {
      for (const model of models) {
        flow.assign(variable(model, "weight", dtype), weight);
        flow.assign(variable(model, "bias", dtype), bias);
      }
      return null;
    },
  );
  const names = Object.keys(run.run.variables);
  const end = flow.globalFunction({ name: "end", returns: tp.Bundle(tp.Numpy) }, () =>
    names.map((name) => read(name, dtype, run.run.options)),
  );
  await new flow.train.CheckPoint().init();
  const feed = (values: readonly number[]) =>
    (dtype === "float32" ? Float32Array.from(values) : Float64Array.from(values)) as never;
  await start(feed(golden.start.weight), feed(golden.start.bias));
  const losses: number[] = [];
  for (const [t, x] of golden.x.entries()) losses.push((await job(feed(x), feed(golden.y[t]!))).mean());
  const values = (await end()) as unknown as readonly flow.NdArray[];
  await flow.clearDefaultSession();
  return { losses, variables: new Map(names.map((name, i) => [name, Array.from(values[i]!.data, Number)])) };
}

const far = (got: readonly number[], expected: readonly number[]): number =>
  got.length === expected.length
    ? Math.max(...got.map((value, i) => Math.abs(value - expected[i]!) / Math.max(1, Math.abs(expected[i]!))))
    : Infinity;

// The reference engine in float64 shows the formulas to the last digits; the native ones run them in float32.
for (const [engine, dtype, tolerance] of [
  ["onnx", "float32", 2e-5],
  ["tensorflow", "float32", 2e-5],
  ["reference", "float64", 1e-12],
] as const)
  describe.skipIf(!isReady(engine))(engine, () => {
    // Native sessions take longest: there the runs that have everything in them, and all of them in test:ci.
    const full = engine === "reference" || process.env.ONESTEP_FULL === "1";
    const chosen = runs.filter(({ run, scale }) => full || (run.clip !== null && scale === 1));
    test(`${chosen.length} runs of ten steps`, { timeout: 120_000 }, async () => {
      const wrong: string[] = [];
      for (const { run, scale } of chosen) {
        flow.config.engine(engine);
        const { losses, variables } = await train({ run, scale }, dtype);
        const check = (what: string, distance: number): void => {
          const title = `${run.name}${run.clip === null ? "" : ", clipped"}${scale === 1 ? "" : ", loss scale"}`;
          if (!(distance < tolerance)) wrong.push(`${title}: ${what} is off by ${distance}`);
        };
        check("loss", far(losses, run.losses));
        for (const [name, values] of Object.entries(run.variables)) check(name, far(variables.get(name)!, values));
      }
      expect(wrong).toEqual([]);
    });
  });

test("the golden runs hold every optimizer", () => {
  const classes = Object.entries(flow.optimizer).flatMap(([name, value]) =>
    typeof value === "function" && value.prototype instanceof flow.optimizer.Optimizer ? [name] : [],
  );
  expect([...new Set(golden.cases.map((run) => run.class))].toSorted()).toEqual(classes.toSorted());
});
