import * as flow from "onestep";
import { tp } from "onestep";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DType } from "#src/core/dtype.js";
import { bytesOf, type Tensor, zeros } from "#src/core/tensor.js";
import type { EngineSession } from "#src/engines/engine.js";
import { encodeSavedModel } from "#src/engines/tensorflow/encode.js";
import { tensorflow } from "#src/engines/tensorflow/engine.js";
import { Lowering, shape, type } from "#src/engines/tensorflow/lower/context.js";
import { openRuntime } from "#src/engines/tensorflow/session/runtime.js";
import type { Blob } from "#src/graph/blob.js";
import type { Check } from "#src/graph/graph.js";
import { building, GraphBuilder } from "#src/graph/trace.js";
import { operators } from "#src/ops/operators.js";
import { failure, tinyImages, tinyJob, tinyLabels } from "../../jobs/support.js";
import { numbers, tensorOf } from "../../ops/harness.js";
import { isReady } from "../ready.js";

const hex = (tensor: Tensor): string => Buffer.from(bytesOf(tensor)).toString("hex");

/** Values at the ends of each dtype's range and beyond what a narrower carrier would keep. */
const extremes: Readonly<Record<Exclude<DType, "bool">, Tensor>> = {
  float32: tensorOf("float32", [5], [-0, 1e-45, 3.4028234663852886e38, -Infinity, 0.1]),
  float64: tensorOf("float64", [5], [-0, 5e-324, 1.7976931348623157e308, Number.NaN, 0.1]),
  float16: tensorOf("float16", [5], [-0, 6e-8, 65504, -1.5, 0.0999755859375]),
  int8: tensorOf("int8", [5], [-128, 127, 0, -1, 1]),
  uint8: tensorOf("uint8", [5], [0, 255, 128, 127, 1]),
  int32: tensorOf("int32", [5], [-2147483648, 2147483647, 0, -1, 16777217]),
  int64: {
    dtype: "int64",
    shape: [5],
    data: BigInt64Array.from([-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n, -1n, 0n]),
  },
};

interface Parts {
  readonly outputs?: readonly Blob[];
  readonly updates?: Readonly<Record<string, Blob>>;
  readonly checks?: readonly Check[];
}

/** A job from a function of its placeholders and variables. */
function jobOf(
  name: string,
  inputs: readonly (readonly [string, DType, readonly number[]])[],
  fn: (...blobs: Blob[]) => Parts,
) {
  const context = { job: name, training: false, operators };
  const builder = new GraphBuilder(context);
  let parts: Parts = {};
  building(builder, () => {
    parts = fn(
      ...inputs.map(([label, dtype, dims]) =>
        builder.input(label.startsWith("$") ? "variable" : "placeholder", {
          name: label.replace("$", ""),
          dtype,
          shape: dims,
        }),
      ),
    );
  });
  const { nodes } = builder.finish();
  const { outputs = [], updates = {}, checks = [] } = parts;
  return { name, context, graph: { nodes, outputs, updates: new Map(Object.entries(updates)), checks } };
}

describe.skipIf(!isReady("tensorflow"))("tensorflow engine", () => {
  let session: EngineSession;
  beforeAll(async () => {
    session = await tensorflow.open({});
  });
  afterAll(() => session.close());

  describe.each(Object.entries(extremes))("%s", (dtype, value) => {
    test("goes in, through a job, and out to the bit", async () => {
      const job = jobOf(`through ${dtype}`, [["x", value.dtype, [5]]], (x) => ({ outputs: [x!, x!] }));
      await session.extend({ jobs: [job], variables: new Map() });
      const [y, z] = await session.run(job.name, [value]);
      expect([y!.dtype, y!.shape, hex(y!)]).toEqual([dtype, [5], hex(value)]);
      expect(hex(z!)).toBe(hex(value));
      expect(y!.data.buffer).not.toBe(z!.data.buffer);
    });

    test("a variable begins as zeros and keeps what is written, beside another", async () => {
      const [a, b] = [`${dtype} a`, `${dtype} b`];
      const types = new Map([a, b].map((name) => [name, { dtype: value.dtype, shape: [5] }]));
      await session.extend({ jobs: [], variables: types });
      expect(numbers(await session.read(a))).toEqual([0, 0, 0, 0, 0]);
      await session.write(a, value);
      expect(hex(await session.read(a))).toBe(hex(value));
      expect(numbers(await session.read(b))).toEqual([0, 0, 0, 0, 0]);
    });
  });

  test("empty arrays go through", async () => {
    const job = jobOf("empty", [["x", "float32", [0, 3]]], (x) => ({ outputs: [x!] }));
    await session.extend({ jobs: [job], variables: new Map() });
    const [y] = await session.run("empty", [zeros("float32", [0, 3])]);
    expect([y!.shape, y!.data.length]).toEqual([[0, 3], 0]);
  });

  test("every variable is read before any is written: two change places, and the old values are returned", async () => {
    const type = { dtype: "float32", shape: [2] } as const;
    const job = jobOf(
      "swap",
      [
        ["$left", "float32", [2]],
        ["$right", "float32", [2]],
      ],
      (a, b) => ({ outputs: [a!, b!], updates: { left: b!, right: a! } }),
    );
    await session.extend({
      jobs: [job],
      variables: new Map([
        ["left", type],
        ["right", type],
      ]),
    });
    await session.write("left", tensorOf("float32", [2], [1, 2]));
    await session.write("right", tensorOf("float32", [2], [3, 4]));
    for (let i = 0; i < 11; i++) {
      const [left, right] = await session.run("swap", []);
      expect([numbers(left!), numbers(right!)]).toEqual(
        i % 2 === 0
          ? [
              [1, 2],
              [3, 4],
            ]
          : [
              [3, 4],
              [1, 2],
            ],
      );
    }
    expect(numbers(await session.read("left"))).toEqual([3, 4]);
  });

  test("a failed check changes no variable, names the value, and the next step is made", async () => {
    const type = { dtype: "float32", shape: [1] } as const;
    const job = jobOf(
      "checked",
      [
        ["$sum", "float32", [1]],
        ["$count", "float32", [1]],
        ["x", "int64", [2]],
      ],
      (sum, count, x) => ({
        outputs: [sum!],
        updates: { sum: sum!.add(10), count: count!.add(1) },
        checks: [{ blob: x!, low: 0, high: 9, what: "test: label", code: "E_LABEL" }],
      }),
    );
    await session.extend({
      jobs: [job],
      variables: new Map([
        ["sum", type],
        ["count", type],
      ]),
    });
    const feed = (...values: number[]): Tensor => tensorOf("int64", [2], values);
    const state = async (): Promise<number[]> => [
      ...numbers(await session.read("sum")),
      ...numbers(await session.read("count")),
    ];
    await session.run("checked", [feed(0, 9)]);
    expect(await state()).toEqual([10, 1]);
    for (const bad of [10, -1]) {
      const error = await failure(() => session.run("checked", [feed(3, bad)]));
      expect([error.code, error.message]).toEqual([
        "E_LABEL",
        `test: label ${bad} is outside [0, 9]; the step was not made and no variable changed [E_LABEL]`,
      ]);
      expect(await state()).toEqual([10, 1]);
    }
    const [before] = await session.run("checked", [feed(1, 2)]);
    expect(numbers(before!)).toEqual([10]);
    expect(await state()).toEqual([20, 2]);
  });

  test("a variable assigned what is fed owns it: later feeds and changes of the array leave it alone", async () => {
    const size = 1 << 16;
    const job = jobOf("assign", [["x", "float32", [size]]], (x) => ({ updates: { kept: x! } }));
    await session.extend({ jobs: [job], variables: new Map([["kept", { dtype: "float32", shape: [size] }]]) });
    const feed = tensorOf("float32", [size], Array(size).fill(7));
    await session.run("assign", [feed]);
    feed.data.fill(0 as never);
    for (let i = 0; i < 20; i++) zeros("float32", [size]);
    const value = await session.read("kept");
    expect((value.data as Float32Array).every((v) => v === 7)).toBe(true);
  });

  test("jobs that come later find the values, and jobs dropped are forgotten", async () => {
    const type = { dtype: "int64", shape: [1] } as const;
    const own = await tensorflow.open({});
    const add = jobOf("add", [["$n", "int64", [1]]], (n) => ({ updates: { n: n!.add(1) } }));
    await own.extend({ jobs: [add], variables: new Map([["n", type]]) });
    const start = { ...type, data: BigInt64Array.of(2n ** 53n + 1n) };
    await own.write("n", start);
    await own.run("add", []);
    const read = jobOf("read", [["$n", "int64", [1]]], (n) => ({ outputs: [n!] }));
    await own.extend({ jobs: [read], variables: new Map([["m", type]]) });
    const [n] = await own.run("read", []);
    expect([n!.data[0], (await own.read("m")).data[0]]).toEqual([2n ** 53n + 2n, 0n]);
    await own.run("add", []);
    await own.drop("add");
    await expect(own.run("add", [])).rejects.toThrow("job 'add' is unknown");
    expect((await own.read("n")).data[0]).toBe(2n ** 53n + 3n);
    await own.close();
  });

  test("an extension that fails leaves the session as it was", async () => {
    const wrong = jobOf("wrong", [["$gone", "float32", [1]]], (x) => ({ outputs: [x!] }));
    await expect(session.extend({ jobs: [wrong], variables: new Map() })).rejects.toThrow("variable 'gone' is unknown");
    await expect(session.run("wrong", [])).rejects.toThrow("job 'wrong' is unknown");
  });

  test("the event loop turns while a step runs", async () => {
    const n = 700;
    const job = jobOf("slow", [["x", "float32", [n, n]]], (x) => {
      let y = x!;
      for (let i = 0; i < 6; i++) y = flow.matmul(y, x!, { transposeB: i % 2 === 0 });
      return { outputs: [y] };
    });
    await session.extend({ jobs: [job], variables: new Map() });
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await session.run("slow", [zeros("float32", [n, n])]);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });

  test("a kernel's failure carries TensorFlow's words, the job's op, and the process lives", async () => {
    const runtime = await openRuntime();
    const to = new Lowering("j0");
    const x = to.one("Placeholder", [], { dtype: type("float32"), shape: shape([2]) });
    to.label = "my-op";
    const y = to.one("CheckNumerics", [x], { T: type("float32"), message: { string: "found" } });
    const model = await runtime.load(await encodeSavedModel(to.nodes));
    const call = model.call([{ name: x, type: "float32", shape: [2] }], [y]);
    const run = (value: number) => call.run([bytesOf(tensorOf("float32", [2], [1, value]))]);
    const error = await failure(() => run(Number.NaN));
    expect(error.message).toMatch(
      /^tensorflow: TensorFlow says: .*found : Tensor had NaN.*j0\/my-op\/CheckNumerics.*\[E_ENGINE\]$/s,
    );
    const [fine] = await run(2);
    expect([...new Float32Array(fine!)]).toEqual([1, 2]);
    call.release();
    await model.release();
    await expect(runtime.load(Uint8Array.of(1, 2, 3))).rejects.toThrow(/TensorFlow says: .*\[E_ENGINE\]/s);
  });
});

describe.skipIf(!isReady("tensorflow"))("the public API on tensorflow", () => {
  test("a bad label fails the step and changes nothing", async () => {
    flow.config.engine("tensorflow");
    flow.config.seed(5);
    const job = tinyJob({ momentum: 0.9 });
    const weights = flow.globalFunction({ name: "weights", returns: tp.Numpy }, () =>
      flow.getVariable("dense1-weight", { shape: [8, 4], initializer: flow.truncatedNormal(0.5) }),
    );
    await new flow.train.CheckPoint().init();
    await job(tinyImages, tinyLabels);
    const before = await weights();
    const error = await failure(() => job(tinyImages, [0, 1, 2, 0, 1, 0, 0, 1]));
    expect(error.code).toBe("E_LABEL");
    expect((await weights()).data).toEqual(before.data);
    await job(tinyImages, tinyLabels);
    expect((await weights()).data).not.toEqual(before.data);
  });

  test("a job declared later finds the trained values", async () => {
    flow.config.engine("tensorflow");
    flow.config.seed(5);
    const job = tinyJob();
    await new flow.train.CheckPoint().init();
    for (let i = 0; i < 3; i++) await job(tinyImages, tinyLabels);
    const step = flow.globalFunction({ name: "later", returns: tp.Numpy }, () =>
      flow.getVariable("System-Train-TrainStep-train_job", {
        shape: [1],
        dtype: flow.int64,
        initializer: flow.zerosInitializer({ dtype: flow.int64 }),
      }),
    );
    expect((await step()).item()).toBe(3);
  });
});
