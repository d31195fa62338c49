import { spawnSync } from "node:child_process";
import { afterEach, describe, expect, test } from "vitest";
import type { DType } from "#src/core/dtype.js";
import { FlowError } from "#src/core/errors.js";
import { zeros } from "#src/core/tensor.js";
import { encodeModel, type OnnxModel } from "#src/engines/onnx/encode.js";
import { openRuntime } from "#src/engines/onnx/session/runtime.js";
import { numbers, tensorOf } from "../../ops/harness.js";

const model = (op: string, dtype: DType, shape: readonly number[], inputs = ["x"]): OnnxModel => ({
  name: "test",
  inputs: inputs.map((name) => ({ name, dtype, shape })),
  outputs: [{ name: "y", dtype, shape }],
  initializers: [],
  nodes: [{ op, name: "n", inputs, outputs: ["y"], attributes: {} }],
});
const held: { release(): void }[] = [];
const hold = <T extends { release(): void }>(value: T): T => {
  held.push(value);
  return value;
};
afterEach(() => {
  for (const value of held.splice(0)) value.release();
});

for (const kind of ["c-api", "binding"] as const) {
  describe(kind, () => {
    const load = async (m: OnnxModel) => {
      const runtime = await openRuntime(kind);
      expect(runtime.kind).toBe(kind);
      return { runtime, loaded: hold(await runtime.load(await encodeModel(m), m.inputs, m.outputs, { threads: 1 })) };
    };

    test.each(["float32", "float64", "int8", "uint8", "int32", "int64", "bool"] as const)(
      "%s goes through",
      async (dtype) => {
        const { runtime, loaded } = await load(model("Identity", dtype, [2, 2]));
        const [x, y] = [tensorOf(dtype, [2, 2], [1, 0, 1, 1]), zeros(dtype, [2, 2])];
        await loaded.run([hold(runtime.value(x))], [hold(runtime.value(y))]);
        expect(numbers(y)).toEqual([1, 0, 1, 1]);
      },
    );

    test("outputs are written in place, again and again, while other sessions work", async () => {
      const { runtime, loaded } = await load(model("Add", "float32", [3], ["a", "b"]));
      const [a, b, y] = [
        tensorOf("float32", [3], [1, 2, 3]),
        tensorOf("float32", [3], [10, 20, 30]),
        zeros("float32", [3]),
      ];
      const values = [a, b, y].map((t) => hold(runtime.value(t)));
      for (let i = 0; i < 100; i++) {
        a.data[0] = i;
        await loaded.run([values[0]!, values[1]!], [values[2]!]);
        expect(numbers(y)).toEqual([i + 10, 22, 33]);
      }
    });

    test("a broken model and a failing run carry onnxruntime's words", async () => {
      const runtime = await openRuntime(kind);
      await expect(runtime.load(Uint8Array.of(1, 2, 3), [], [], {})).rejects.toThrow(
        /onnxruntime says: .*\[E_ENGINE\]/s,
      );
      const { loaded } = await load(model("Identity", "float32", [2]));
      const [x, y] = [zeros("float32", [3]), zeros("float32", [2])];
      const error = await loaded.run([hold(runtime.value(x))], [hold(runtime.value(y))]).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(FlowError);
      expect((error as Error).message).toMatch(/onnxruntime says: .*(dimension|shape)/i);
    });

    test("values made and released leave no memory behind", async () => {
      const runtime = await openRuntime(kind);
      const tensor = zeros("float32", [1000]);
      for (let i = 0; i < 2000; i++) runtime.value(tensor).release();
      const before = process.memoryUsage.rss();
      for (let i = 0; i < 20_000; i++) runtime.value(tensor).release();
      expect(process.memoryUsage.rss() - before).toBeLessThan(30 * 2 ** 20);
    });
  });
}

test("garbage collections between calls do no harm (koffi closes libraries whose handle is collected)", () => {
  const program = `
    import * as flow from ${JSON.stringify(new URL("../../../dist/index.js", import.meta.url).href)};
    const job = flow.globalFunction({ name: "job", returns: flow.tp.Numpy }, [flow.tp.Numpy.Placeholder([1000])], (x) => x.add(1));
    for (let i = 0; i < 30; i++) { await job(new Float32Array(1000)); gc(); await new Promise((resolve) => setTimeout(resolve, 5)); gc(); }
    console.log("alive");`;
  const { stdout, status } = spawnSync(process.execPath, ["--expose-gc", "--input-type=module", "--eval", program], {
    encoding: "utf8",
  });
  expect([stdout.trim(), status]).toEqual(["alive", 0]);
});
