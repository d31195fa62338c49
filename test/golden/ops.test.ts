import { readFileSync } from "node:fs";
import * as flow from "onestep";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DType } from "#src/core/dtype.js";
import type { EngineSession } from "#src/engines/engine.js";
import { onnx } from "#src/engines/onnx/engine.js";
import { reference } from "#src/engines/reference/engine.js";
import { evaluate, numbers, tensorOf, withGradients } from "../ops/harness.js";

interface Values {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
interface Attrs {
  readonly axis?: number;
  readonly axes?: readonly number[];
  readonly keepdims?: boolean;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly perm?: readonly number[];
  readonly shape?: readonly number[];
  readonly dtype?: DType;
}
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
  for (const engine of [reference, onnx]) sessions.set(engine, await engine.open({}));
});
afterAll(async () => {
  for (const session of sessions.values()) await session.close();
});

const { math, nn } = flow;
const reduce = {
  reduceSum: math.reduceSum,
  reduceMean: math.reduceMean,
  reduceMax: math.reduceMax,
  reduceMin: math.reduceMin,
} as const;
const plain = {
  ...math,
  where: flow.where,
  argmax: math.argmax,
  biasAdd: nn.biasAdd,
  sparseSoftmaxCrossEntropyWithLogits: nn.sparseSoftmaxCrossEntropyWithLogits,
} as Readonly<Record<string, unknown>>;

function call(op: string, attrs: Attrs, x: readonly flow.Blob[]): flow.Blob {
  const { axis, axes, keepdims = false, transposeA = false, transposeB = false } = attrs;
  switch (op) {
    case "reshape":
      return flow.reshape(x[0]!, attrs.shape!);
    case "transpose":
      return flow.transpose(x[0]!, { perm: attrs.perm! });
    case "cast":
      return flow.cast(x[0]!, attrs.dtype!);
    case "matmul":
      return flow.matmul(x[0]!, x[1]!, { transposeA, transposeB });
    case "softmax":
    case "logSoftmax":
      return nn[op](x[0]!, axis === undefined ? {} : { axis });
    case "reduceSum":
    case "reduceMean":
    case "reduceMax":
    case "reduceMin":
      return reduce[op](x[0]!, {
        keepdims,
        ...(axes === undefined ? (axis === undefined ? {} : { axis }) : { axis: axes }),
      });
    default:
      return (plain[op] as (...inputs: readonly flow.Blob[]) => flow.Blob)(...x);
  }
}

for (const engine of [reference, onnx]) {
  test.each(cases.map((golden, i) => [`${golden.op} #${i}`, golden] as const))(
    `${engine.name}: %s equals PyTorch, forward and gradient`,
    async (_, { op, inputs, attrs, output, cotangent, grads }) => {
      const tensors = inputs.map(({ dtype, shape, data }) => tensorOf(dtype, shape, data));
      const session = sessions.get(engine)!;
      const compare = (got: Parameters<typeof numbers>[0], { dtype, shape, data }: Values): void => {
        expect(got.dtype).toBe(dtype);
        expect(got.shape).toEqual(shape.length === 0 ? [1] : shape);
        const tolerance = dtype === "float32" ? 1e-6 : 1e-12;
        for (const [i, value] of numbers(got).entries()) {
          if (value !== data[i]!)
            expect(Math.abs(value - data[i]!)).toBeLessThan(tolerance * Math.max(1, Math.abs(data[i]!)));
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
          [...tensors, tensorOf(cotangent.dtype, cotangent.shape, cotangent.data)],
          withGradients((...blobs) => call(op, attrs, blobs)),
        )
      ).slice(1);
      expect(found.length).toBe(expected.length);
      for (const [i, g] of found.entries()) compare(g, expected[i]!);
    },
  );
}
