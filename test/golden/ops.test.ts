import { afterAll, beforeAll, expect, test } from "vitest";
import type { DType } from "#src/core/dtype.js";
import type { Tensor } from "#src/core/tensor.js";
import type { EngineSession } from "#src/engines/engine.js";
import { onnx } from "#src/engines/onnx/engine.js";
import { reference } from "#src/engines/reference/engine.js";
import { tensorflow } from "#src/engines/tensorflow/engine.js";
import { isReady } from "../engines/ready.js";
import { evaluate, numbers, tensorOf, withGradients } from "../ops/harness.js";
import { type Case, call, readCases, type Values } from "./cases.js";

// By PyTorch in float64: test/golden/ops.py and test/golden/ops-gradients.py.
const cases = [...readCases("ops.json"), ...readCases("ops-gradients.json")];
const sessions = new Map<typeof onnx, EngineSession>();
beforeAll(async () => {
  for (const engine of new Set(runs.map(([engine]) => engine))) sessions.set(engine, await engine.open({}));
});
afterAll(async () => {
  for (const session of sessions.values()) await session.close();
}, 60_000);

/** The case in another floating dtype. */
const inDtype = (values: Values, dtype: DType): Values => (values.dtype === "float64" ? { ...values, dtype } : values);

const runs = [
  [reference, "float64"],
  [onnx, "float64"],
  [onnx, "float32"],
  ...(isReady("tensorflow")
    ? ([
        [tensorflow, "float64"],
        [tensorflow, "float32"],
      ] as const)
    : []),
] as const;
/** Cases without floats are the same in both precisions. */
const hasFloats = ({ op, inputs, output }: Case): boolean =>
  op === "cast" || [...inputs, output].some(({ dtype }) => dtype === "float64");
for (const [engine, float] of runs) {
  const own = cases.flatMap((golden, i) =>
    float === "float64" || hasFloats(golden) ? [[`${golden.op} #${i}`, golden] as const] : [],
  );
  test.each(own)(
    `${engine.name} ${float}: %s equals PyTorch, forward and gradient`,
    async (_, { op, inputs, attrs, output, cotangent, grads }) => {
      const tensorIn = (values: Values): Tensor => {
        const { dtype, shape, data } = op === "cast" ? values : inDtype(values, float);
        return tensorOf(dtype, shape, data.map(Number));
      };
      const tensors = inputs.map(tensorIn);
      const session = sessions.get(engine)!;
      const compare = (got: Tensor, expected: Values): void => {
        const { dtype, shape, data } = op === "cast" ? expected : inDtype(expected, float);
        expect(got.dtype).toBe(dtype);
        expect(got.shape).toEqual(shape.length === 0 ? [1] : shape);
        const tolerance = dtype === "float32" ? 3e-6 : 1e-12;
        for (const [i, value] of numbers(got).entries()) {
          const wanted = Number(data[i]);
          if (!Object.is(value, wanted) && value !== wanted)
            expect(Math.abs(value - wanted), `element ${i}: ${value} against ${wanted}`).toBeLessThan(
              tolerance * Math.max(1, Math.abs(wanted)),
            );
        }
      };
      const [y] = await evaluate(engine, session, tensors, (...blobs) => [call(op, attrs, blobs)]);
      compare(y!, output);
      if (cotangent == null || grads == null) return;
      const expected = grads.filter((g) => g !== null);
      const found = (
        await evaluate(
          engine,
          session,
          [...tensors, tensorIn(cotangent)],
          withGradients((...blobs) => call(op, attrs, blobs)),
        )
      ).slice(1);
      expect(found.length).toBe(expected.length);
      for (const [i, g] of found.entries()) compare(g, expected[i]!);
    },
  );
}
