import { readFileSync } from "node:fs";
import * as flow from "onestep";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DType } from "#src/core/dtype.js";
import type { Tensor } from "#src/core/tensor.js";
import type { EngineSession } from "#src/engines/engine.js";
import { onnx } from "#src/engines/onnx/engine.js";
import { reference } from "#src/engines/reference/engine.js";
import { tensorflow } from "#src/engines/tensorflow/engine.js";
import { isReady } from "../engines/ready.js";
import { evaluate, numbers, tensorOf, withGradients } from "../ops/harness.js";

interface Values {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Numbers; what JSON has no word for by its name. */
  readonly data: readonly (number | string)[];
}
type Attrs = Readonly<Record<string, unknown>>;
interface Case {
  readonly op: string;
  readonly inputs: readonly Values[];
  readonly attrs: Attrs;
  readonly output: Values;
  readonly cotangent?: Values | null;
  readonly grads?: readonly (Values | null)[] | null;
}

// By PyTorch in float64: test/golden/ops.py.
const cases = JSON.parse(readFileSync(new URL("./ops.json", import.meta.url), "utf8")) as readonly Case[];
const sessions = new Map<typeof onnx, EngineSession>();
beforeAll(async () => {
  for (const engine of new Set(runs.map(([engine]) => engine))) sessions.set(engine, await engine.open({}));
});
afterAll(async () => {
  for (const session of sessions.values()) await session.close();
}, 60_000);

/** An op of the library on the inputs and attributes of a case: the attributes are its options, but for those below. */
function call(op: string, attrs: Attrs, x: readonly flow.Blob[]): flow.Blob {
  const form = forms[op];
  if (form !== undefined) return form(x, attrs as never);
  const { math, nn, experimental } = flow;
  const functions: Readonly<Record<string, unknown>> = { ...math, ...nn, ...experimental, ...flow };
  return (functions[op] as (...args: unknown[]) => flow.Blob)(...x, attrs);
}

type Form = (x: readonly [flow.Blob, flow.Blob, flow.Blob, flow.Blob, flow.Blob], attrs: never) => flow.Blob;
/** What takes a list of blobs, or attributes by position. */
const forms: Readonly<Record<string, (x: readonly flow.Blob[], attrs: never) => flow.Blob>> = {
  batchNormalization: ([x, mean, variance, offset, scale], attrs: { varianceEpsilon: number }) =>
    flow.nn.batchNormalization(x, mean, variance, { offset, scale, ...attrs }),
  batchNormTraining: ([x, offset, scale], { axis }: { axis: number }) => {
    const channel = axis < 0 ? axis + x.shape.length : axis;
    const axes = x.shape.flatMap((_, i) => (i === channel ? [] : [i]));
    return flow.nn.batchNormalization(x, ...flow.nn.moments(x, axes), { offset, scale, axis });
  },
  broadcastToCompatibleWith: ([x, ...others]) => flow.broadcastToCompatibleWith(x, others),
  cast: ([x], { dtype }: { dtype: DType }) => flow.cast(x, dtype),
  concat: (x, attrs: { axis?: number }) => flow.concat(x, attrs),
  layerNorm: ([x, beta, gamma], attrs: { epsilon: number }) => flow.nn.layerNorm(x, { beta, gamma, ...attrs }),
  maskedFill: ([x, mask], { value }: { value: number }) => flow.maskedFill(x, mask, value),
  oneHot: ([x], { depth }: { depth: number }) => flow.oneHot(x, depth),
  pad: ([x], { paddings, ...attrs }: { paddings: [number, number][] }) => flow.pad(x, paddings, attrs),
  reshape: ([x], { shape }: { shape: number[] }) => flow.reshape(x, shape),
  reverse: ([x], { at }: { at: number[] }) => flow.reverse(x, at),
  samePadding: (
    [x],
    {
      padding,
      format,
      kernel,
      strides,
      dilation,
    }: { padding: "SAME_LOWER"; format: string; kernel: number[]; strides: number[]; dilation: number[] },
  ) => flow.samePadding(x, padding, format, kernel, strides, dilation),
  scatterNd: ([indices, updates], { shape }: { shape: number[] }) => flow.scatterNd(indices, updates, shape),
  slice: ([x], { begin, size }: { begin: number[]; size: number[] }) => flow.slice(x, begin, size),
  sliceV2: ([x], { ranges }: { ranges: flow.SliceRange[] }) => flow.sliceV2(x, ranges),
  stack: (x, { at }: { at: number }) => flow.stack(x, at),
  tile: ([x], { reps }: { reps: number[] }) => flow.tile(x, reps),
  uniqueWithCounts: ([x], { result, ...attrs }: { result: 0 | 1 | 2 | 3 }) =>
    flow.experimental.uniqueWithCounts(x, attrs)[result],
  unsortedSegmentSum: ([x, ids], { numSegments, ...attrs }: { numSegments: number }) =>
    flow.unsortedSegmentSum(x, ids, numSegments, attrs),
} satisfies Readonly<Record<string, Form>> as never;

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
