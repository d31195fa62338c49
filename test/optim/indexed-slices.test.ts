import { readFileSync } from "node:fs";
import * as flow from "onestep";
import { tp } from "onestep";
import { describe, expect, test } from "vitest";
import { sizeOf } from "#src/core/shape.js";
import { onnx } from "#src/engines/onnx/engine.js";
import { reference } from "#src/engines/reference/engine.js";
import { tensorflow } from "#src/engines/tensorflow/engine.js";
import { print } from "#src/graph/print.js";
import { compile } from "#src/job/compile.js";
import { declarationOf } from "#src/job/global-function.js";
import { isReady } from "../engines/ready.js";
import "../jobs/support.js";

const golden = JSON.parse(readFileSync(new URL("../golden/optimizers.json", import.meta.url), "utf8")) as {
  readonly table: readonly number[];
  /** Of each step: indices, and the weight of each row in the loss. */
  readonly lookups: readonly (readonly [ids: readonly number[], weights: readonly number[]])[];
  readonly tables: readonly {
    readonly name: string;
    readonly class: "SGD" | "AdamW" | "LazyAdam" | "RMSProp";
    readonly options: object;
    readonly clip: number | null;
    readonly variables: Readonly<Record<string, readonly number[]>>;
  }[];
};
const [rows, width, lookups] = [7, 2, 5];
const rate = () => new flow.optimizer.PiecewiseConstantScheduler([3], [0.05, 0.02]);

function indexed(...names: string[]): flow.FunctionConfig {
  const functionConfig = flow.functionConfig();
  functionConfig.indexedSlicesOptimizerConf({ include_op_names: { op_name: names } });
  return functionConfig;
}

const initializer = flow.zerosInitializer();
const table = (shape: readonly number[] = [rows, width], more: object = {}): flow.Blob =>
  flow.getVariable("table", { shape, initializer, ...more });

/** A train job on the sum of weighted rows that `ids` name; `ids` may be given in parts. */
function lookup(
  minimize: (loss: flow.Blob) => void,
  {
    functionConfig = indexed("table"),
    count = lookups,
    shape = [rows, width],
  }: { functionConfig?: flow.FunctionConfig; count?: number; shape?: readonly number[] } = {},
) {
  return flow.globalFunction(
    { type: "train", name: "lookup", functionConfig, returns: tp.Numpy },
    [tp.Numpy.Placeholder([count], { dtype: flow.int32 }), tp.Numpy.Placeholder([count, ...shape.slice(1)])],
    (ids, weights) => {
      const loss = flow.math.reduceSum(flow.gather(table(shape), ids).mul(weights), { axis: 1 });
      minimize(loss);
      return loss;
    },
  );
}

for (const [engine, tolerance] of [
  ["onnx", 2e-6],
  ["tensorflow", 2e-6],
  ["reference", 2e-6],
] as const)
  describe.skipIf(!isReady(engine))(engine, () => {
    test.each(golden.tables)(
      "ten steps on the rows that are read: $name, as numpy and SparseAdam of PyTorch",
      async (run) => {
        flow.config.engine(engine);
        const job = lookup((loss) => {
          const options = {
            ...run.options,
            ...(run.clip === null ? {} : { gradClipping: flow.optimizer.gradClipping.byGlobalNorm(run.clip) }),
          };
          new flow.optimizer[run.class](rate(), options).minimize(loss);
        });
        const start = flow.globalFunction({ name: "start" }, [tp.Numpy.Placeholder([rows, width])], (values) => {
          flow.assign(table(), values);
          return null;
        });
        const read = flow.globalFunction({ name: "read", returns: tp.Bundle(tp.Numpy) }, () =>
          Object.keys(run.variables).map((name) =>
            name === "table"
              ? table()
              : flow.getVariable(name, {
                  shape: name.includes("beta") ? [1] : [rows, width],
                  initializer: flow.constantInitializer(
                    name.includes("beta1") ? 0.9 : name.includes("beta2") ? 0.99 : 0,
                  ),
                }),
          ),
        );
        await new flow.train.CheckPoint().init();
        await start(Float32Array.from(golden.table));
        for (const [ids, weights] of golden.lookups) await job(ids as number[], Float32Array.from(weights));
        const values = (await read()) as unknown as readonly flow.NdArray[];
        for (const [i, [name, expected]] of Object.entries(run.variables).entries())
          for (const [k, value] of Array.from(values[i]!.data, Number).entries())
            expect(Math.abs(value - expected[k]!), name).toBeLessThan(tolerance);
        // The last row is never read.
        expect(Array.from(values[0]!.data, Number).slice(-width)).toEqual(golden.table.slice(-width));
      },
    );

    test("where each step reads every row, LazyAdam gives what it gives without slices", async () => {
      const found: flow.NdArray[] = [];
      for (const functionConfig of [indexed("table"), indexed()]) {
        flow.config.engine(engine);
        const count = rows + 3;
        const job = lookup((loss) => new flow.optimizer.LazyAdam(rate()).minimize(loss), { functionConfig, count });
        const read = flow.globalFunction({ name: "read", returns: tp.Numpy }, () => table());
        await new flow.train.CheckPoint().init();
        for (let step = 0; step < 5; step++) {
          const ids = Array.from({ length: count }, (_, i) => (i + step) % rows);
          await job(
            ids,
            Float32Array.from({ length: count * width }, (_, i) => Math.sin(i + step) + 1.5),
          );
        }
        found.push(await read());
        await flow.clearDefaultSession();
      }
      for (const [i, value] of found[0]!.data.entries())
        expect(Number(value)).toBeCloseTo(Number(found[1]!.data[i]), 6);
    });
  });

test.each([
  ["onnx", onnx],
  ["tensorflow", tensorflow],
  ["reference", reference],
] as const)("of a large table nothing is as large but its variables and their updates: %s", async (_, engine) => {
  flow.config.engine("reference");
  const shape = [20_000, 4];
  const job = lookup((loss) => new flow.optimizer.LazyAdam(rate()).minimize(loss), { count: 16, shape });
  await new flow.train.CheckPoint().init();
  const { session, declaration } = declarationOf("test", job);
  const { traced } = session.job(declaration.name).latest;
  const { native } = compile(traced, engine, { checkNumerics: false, variant: "" }).whole;
  // As large as one column of the table is too large already.
  const large = native.graph.nodes.filter(({ outputs }) => outputs.some((output) => sizeOf(output.shape) >= shape[0]!));
  expect(large.map(({ op }) => op).toSorted()).toEqual([
    ...["replaceRows", "replaceRows", "replaceRows"],
    ...["variable", "variable", "variable"],
  ]);
  const updates = new Set([...native.graph.updates.values()].map(({ node }) => node));
  for (const node of large) expect(node.op === "variable" || updates.has(node)).toBe(true);
});

test("the printed update: rows are read, their gradients summed by index, and written back", async () => {
  flow.config.engine("reference");
  const job = lookup((loss) => new flow.optimizer.SGD(rate(), { momentum: 0 }).minimize(loss));
  await new flow.train.CheckPoint().init();
  const { session, declaration } = declarationOf("test", job);
  const { native } = compile(session.job(declaration.name).latest.traced, reference, {
    checkNumerics: false,
    variant: "",
  }).whole;
  const lines = print(native.graph).split("\n");
  expect(
    lines.filter((line) => /gather|equalGroups|segmentSum|replaceRows/.test(line)).join("\n"),
  ).toMatchInlineSnapshot(`
    "%7:float32[5,2] = gather %2 %6 {axis=0}
    %11:int32[5] = equalGroups %6
    %12:float32[5,2] = segmentSum %1 %11 {segments=5}
    %22:float32[5,2] = gather %14 %11 {axis=0}
    %25:float32[7,2] = replaceRows %2 %6 %24"
  `);
});

test("several gathers of one table are taken together", async () => {
  flow.config.engine("reference");
  const job = flow.globalFunction(
    { type: "train", name: "twice", functionConfig: indexed("table"), returns: tp.Numpy },
    [tp.Numpy.Placeholder([2], { dtype: flow.int32 }), tp.Numpy.Placeholder([1, 2], { dtype: flow.int64 })],
    (first, second) => {
      const value = table([4, 1]);
      const parts = [flow.gather(value, first), flow.gather(value, second)].map((part) => flow.math.reduceSum(part));
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [1]), { momentum: 0 }).minimize(
        parts[0]!.add(parts[1]!.mul(10)),
      );
      return value;
    },
  );
  await new flow.train.CheckPoint().init();
  await job([1, 2], [[2, 2]]);
  expect((await job([0, 0], [[0, 0]])).toArray()).toEqual([[0], [-1], [-21], [0]]);
});

describe("where only rows cannot be updated, the error says why", () => {
  const rejects = async (
    minimize: (loss: flow.Blob, table: flow.Blob) => void,
    message: string,
    { names = ["table"], more = {}, axis = 0 }: { names?: string[]; more?: object; axis?: number } = {},
  ): Promise<void> => {
    flow.config.engine("reference");
    const job = flow.globalFunction(
      { type: "train", name: "lookup", functionConfig: indexed(...names) },
      [tp.Numpy.Placeholder([2], { dtype: flow.int32 })],
      (ids) => {
        const value = table([4, 2], more);
        const loss = flow.math.reduceSum(flow.gather(value, ids, { axis }));
        minimize(loss, value);
        return loss;
      },
    );
    await expect(job([0, 1])).rejects.toThrow(message);
  };
  const adam = (loss: flow.Blob): unknown => new flow.optimizer.LazyAdam(rate()).minimize(loss);

  test("another use of the table", () =>
    rejects(
      (loss, value) => adam(loss.add(flow.math.reduceSum(value))),
      "something besides gather on axis 0 reads it",
    ));
  test("another axis", () => rejects(adam, "something besides gather on axis 0 reads it", { axis: 1 }));
  test("a regularizer", () =>
    rejects(adam, "its regularizer changes every row", { more: { regularizer: flow.regularizers.l2(0.1) } }));
  test("accumulation", () =>
    rejects(
      (loss) => new flow.optimizer.LazyAdam(rate()).minimize(loss, { accumulate: 2 }),
      "gradients that are accumulated are as large as the variable",
    ));
  test("norms of variables", () =>
    rejects((loss) => new flow.optimizer.LARS(rate()).minimize(loss), "LARS needs the norm of the whole variable"));
  test("a name that no variable has", () =>
    rejects(adam, "names 'tabel', but the job has no such variable (did you mean 'table'?)", { names: ["tabel"] }));
});

test("settings of the function config", () => {
  const set = (conf: unknown) => () => flow.functionConfig().indexedSlicesOptimizerConf(conf as never);
  expect(set({ includeOpNames: { opName: ["a"] }, enable: true })).not.toThrow();
  expect(set({ include_op_name: { op_name: ["a"] } })).toThrow(
    /unknown option 'includeOpName'; did you mean 'includeOpNames'/,
  );
  expect(set({ include_op_names: { op_name: "a" } })).toThrow(/expected names of variables/);
  for (const wrong of [undefined, null, 1, "a", [], { includeOpNames: null }, { includeOpNames: { opName: [1] } }])
    expect(set(wrong)).toThrow(flow.FlowError);
});
