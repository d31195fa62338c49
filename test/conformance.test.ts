import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DType, isFloat } from "#src/core/dtype.js";
import type { Tensor } from "#src/core/tensor.js";
import type { Engine, EngineSession } from "#src/engines/engine.js";
import { onnx } from "#src/engines/onnx/engine.js";
import { reference } from "#src/engines/reference/engine.js";
import { tensorflow } from "#src/engines/tensorflow/engine.js";
import { print } from "#src/graph/print.js";
import { ops } from "#src/ops/index.js";
import { isReady } from "./engines/ready.js";
import { rows as binary } from "./ops/binary.cases.js";
import { rows as conv } from "./ops/conv.cases.js";
import { rows as elementwise } from "./ops/elementwise.cases.js";
import { evaluate, graphOf, numbers, randomTensor, tensorOf, withGradients } from "./ops/harness.js";
import { rows as indexing } from "./ops/indexing.cases.js";
import { rows as linalg } from "./ops/linalg.cases.js";
import { rows as loss } from "./ops/loss.cases.js";
import { rows as norm } from "./ops/norm.cases.js";
import { rows as order } from "./ops/order.cases.js";
import { rows as parts } from "./ops/parts.cases.js";
import { rows as reduce } from "./ops/reduce.cases.js";
import type { Row } from "./ops/rows.js";
import { rows as scatter } from "./ops/scatter.cases.js";
import { rows as selection } from "./ops/selection.cases.js";
import { rows as structure } from "./ops/structure.cases.js";
import { rows as unary } from "./ops/unary.cases.js";

const rows: readonly Row[] = [
  ...elementwise,
  ...unary,
  ...binary,
  ...structure,
  ...parts,
  ...reduce,
  ...indexing,
  ...order,
  ...scatter,
  ...selection,
  ...linalg,
  ...conv,
  ...loss,
  ...norm,
];
const engines: readonly Engine[] = [reference, onnx, ...(isReady("tensorflow") ? [tensorflow] : [])];
const sessions = new Map<Engine, EngineSession>();
beforeAll(async () => {
  for (const engine of engines) sessions.set(engine, await engine.open({}));
});
afterAll(async () => {
  for (const session of sessions.values()) await session.close();
}, 60_000);
const run = (
  engine: Engine,
  inputs: readonly Tensor[],
  fn: Parameters<typeof evaluate>[3],
): Promise<readonly Tensor[]> => evaluate(engine, sessions.get(engine)!, inputs, fn);

const inputsOf = (row: Row, float: DType): Tensor[] =>
  row.inputs.map(({ shape, dtype = "float", range }, i) =>
    randomTensor(`${row.print ?? row.op} ${i}`, dtype === "float" ? float : dtype, shape, range),
  );
const outputOf = (row: Row, inputs: readonly Tensor[]): { readonly dtype: DType; readonly shape: readonly number[] } =>
  graphOf("type", inputs, (...blobs) => [row.call(...blobs)]).graph.outputs[0]!;
const cotangentOf = (row: Row, inputs: readonly Tensor[]): Tensor => {
  const { dtype, shape } = outputOf(row, inputs);
  return randomTensor(`${row.print ?? row.op} cotangent`, dtype, shape);
};

test("every op has a row and every key is its op's name", () => {
  const composites = new Set([
    ...["square", "reciprocal", "reciprocalNoNan", "rsqrt", "logSigmoid", "clipByValue", "squaredDifference", "addN"],
    ...["logicalAnd", "reduceMean", "reduceVariance", "reduceStd", "reduceEuclideanNorm", "reduceAny", "reduceAll"],
    ...["stack", "reverse", "oneHot", "maskedFill", "tril", "squeeze", "expandDims", "broadcastLike", "tile"],
    ...["biasAdd", "softmaxCrossEntropyWithLogits", "sparseCrossEntropy", "sigmoidCrossEntropyWithLogits"],
    ...["argsort", "sort", "gatherNd", "scatterNd", "tensorScatterNdAdd", "tensorScatterNdUpdate", "argwhere"],
    ...["nonzero", "elemCnt", "reducedShapeElemCnt", "uniqueWithCounts", "reshapeLike", "dynamicReshape", "identityN"],
    ...["broadcastToCompatibleWith", "samePadding", "squareSum"],
    ...["smoothL1Loss", "batchNormalization", "layerNorm", "l2Normalize", "maxPoolTwice"],
    ...["upsample2d", "padGrad", "geluGrad", "tanhGrad", "softmaxGrad", "layerNormGrad", "layerNormParamGrad"],
  ]);
  const hostOnly = Object.values(ops)
    .filter((op) => op.kind === "host")
    .map((op) => op.name as string);
  const seenInGradients = ["maxUnpool"];
  const covered = new Set(rows.map((row) => row.op).filter((name) => !composites.has(name)));
  expect([...covered, ...hostOnly, ...seenInGradients].sort()).toEqual(Object.keys(ops).sort());
  for (const [key, op] of Object.entries(ops)) expect(op.name).toBe(key);
});

for (const [index, row] of rows.entries()) {
  describe(`${row.op} #${index}`, () => {
    const { print: printed } = row;
    if (printed !== undefined)
      test("prints", () => {
        const inputs = inputsOf(row, "float32");
        const { graph } = graphOf("print", inputs, (...blobs) => [row.call(...blobs)]);
        const text = print({ ...graph, outputs: [], checks: [] })
          .split("\n")
          .slice(inputs.length)
          .join("\n");
        expect(text.replaceAll("float32", "float")).toBe(printed.replaceAll("float32", "float"));
      });

    for (const engine of engines) {
      for (const float of ["float32", "float64"] as const) {
        if (engine === reference && float === "float64") continue;
        test(`${engine.name} ${float} equals the reference in float64, forward and gradient`, async () => {
          const inputs = inputsOf(row, float);
          const differentiable = row.differentiable ?? true;
          const all = differentiable ? [...inputs, cotangentOf(row, inputs)] : inputs;
          const fn = differentiable
            ? withGradients(row.call)
            : (...blobs: Parameters<typeof row.call>) => [row.call(...blobs)];
          const wide = all.map((t) =>
            isFloat(t.dtype) && row.inputs.every((input) => input.dtype !== "float32")
              ? tensorOf("float64", t.shape, numbers(t))
              : t,
          );
          const expected = await run(reference, wide, fn);
          const got = await run(engine, all, fn);
          expect(got.length).toBe(expected.length);
          for (const [i, tensor] of got.entries()) {
            expect(tensor.shape).toEqual(expected[i]!.shape);
            const tolerance = float === "float64" ? 1e-12 : (row.tolerance ?? 1e-5);
            close(numbers(tensor), numbers(expected[i]!), tolerance);
          }
        });
      }

      for (const [n, { inputs, output, gradients }] of (row.exact ?? []).entries()) {
        for (const float of ["float32", "float64"] as const) {
          if (float === "float64" && (engine === reference || inputs.some(({ dtype }) => dtype !== undefined)))
            continue;
          test(`${engine.name} exact #${n} ${float}`, async () => {
            const tensors = inputs.map(({ shape, data, dtype = float }) => tensorOf(dtype, shape, data));
            const [y] = await run(engine, tensors, (...blobs) => [row.call(...blobs)]);
            if (output !== undefined) same(numbers(y!), output);
            if (gradients === undefined) return;
            const ones = outputOf(row, tensors);
            const cotangent = tensorOf(ones.dtype, ones.shape, Array(y!.data.length).fill(1));
            const found = (await run(engine, [...tensors, cotangent], withGradients(row.call))).slice(1);
            const expected = gradients.filter((g) => g !== null);
            expect(found.length).toBe(expected.length);
            for (const [i, g] of found.entries()) same(numbers(g), expected[i]!);
          });
        }
      }
    }

    if (row.differentiable ?? true) {
      test("directional derivative in float64", async () => {
        if (row.inputs.some((input) => input.dtype === "float32")) return expect(row.op).toBe("cast");
        const inputs = inputsOf(row, "float64");
        const cotangent = cotangentOf(row, inputs);
        const directions = inputs.map((t, i) =>
          isFloat(t.dtype)
            ? numbers(randomTensor(`${row.print ?? row.op} direction ${i}`, "float64", t.shape))
            : undefined,
        );
        const value = async (h: number): Promise<number> => {
          const moved = inputs.map((t, i) =>
            directions[i] === undefined
              ? t
              : tensorOf(
                  t.dtype,
                  t.shape,
                  numbers(t).map((v, j) => v + h * directions[i]![j]!),
                ),
          );
          const [y] = await run(reference, moved, (...blobs) => [row.call(...blobs)]);
          return numbers(y!).reduce((sum, v, i) => sum + v * numbers(cotangent)[i]!, 0);
        };
        const h = 1e-6;
        const difference = ((await value(h)) - (await value(-h))) / (2 * h);
        const grads = (await run(reference, [...inputs, cotangent], withGradients(row.call))).slice(1);
        const along = directions.filter((d) => d !== undefined);
        expect(grads.length).toBe(along.length);
        const dot = grads.reduce((sum, g, i) => sum + numbers(g).reduce((s, v, j) => s + v * along[i]![j]!, 0), 0);
        expect(Math.abs(dot - difference)).toBeLessThan(1e-6 * Math.max(1, Math.abs(difference)));
      });
    }
  });
}

function close(got: readonly number[], expected: readonly number[], tolerance: number): void {
  const scale = Math.max(1, ...expected.filter(Number.isFinite).map(Math.abs));
  for (const [i, value] of got.entries()) {
    if (Number.isNaN(expected[i]!)) expect(value).toBeNaN();
    else
      expect(Math.abs(value - expected[i]!), `element ${i}: ${value} against ${expected[i]}`).toBeLessThanOrEqual(
        tolerance * scale,
      );
  }
}

/** Equal numbers; -0 equals 0, NaN equals NaN. */
function same(got: readonly number[], expected: readonly number[]): void {
  expect(got.map((v) => v + 0)).toEqual(expected.map((v) => v + 0));
}
