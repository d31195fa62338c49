import { readFileSync } from "node:fs";
import * as flow from "onestep";
import { describe, expect, test } from "vitest";
import { sizeOf } from "#src/core/shape.js";
import type { Tensor } from "#src/core/tensor.js";
import type { Engine } from "#src/engines/engine.js";
import { onnx } from "#src/engines/onnx/engine.js";
import { reference } from "#src/engines/reference/engine.js";
import { tensorflow } from "#src/engines/tensorflow/engine.js";
import type { Padding } from "#src/ops/window.js";
import { isReady } from "../engines/ready.js";
import { evaluate, graphOf, numbers, tensorOf, withGradients } from "../ops/harness.js";

interface Digest {
  readonly shape: readonly number[];
  readonly head: readonly number[];
  readonly products: readonly number[];
}
interface Case {
  readonly x: readonly number[];
  readonly strides: readonly number[];
  readonly padding: Padding;
  readonly dataFormat: string;
  readonly y: Digest;
  readonly dx: Digest;
}
interface ConvCase extends Case {
  readonly w: readonly number[];
  readonly dilations: readonly number[];
  readonly groups: number;
  readonly dw: Digest;
}
interface PoolCase extends Case {
  readonly kind: "max" | "avg";
  readonly ksize: readonly number[];
}

// By PyTorch in float64: test/golden/conv.py, which has the same `fill`.
const golden = JSON.parse(readFileSync(new URL("./conv.json", import.meta.url), "utf8")) as {
  readonly conv: readonly ConvCase[];
  readonly pool: readonly PoolCase[];
};
const fill = (size: number, seed: number): number[] =>
  Array.from({ length: size }, (_, i) => Math.sin(0.7 * i + 0.001 * i * i + seed));

type Float = "float32" | "float64";
const forms: readonly (readonly [Engine, Float])[] = [
  [reference, "float64"],
  [onnx, "float32"],
  [onnx, "float64"],
  ...(isReady("tensorflow")
    ? ([
        [tensorflow, "float32"],
        [tensorflow, "float64"],
      ] as const)
    : []),
];

/** Runs value and gradients and compares them with PyTorch's digests. */
async function compare(
  [engine, dtype]: readonly [Engine, Float],
  shapes: readonly (readonly number[])[],
  expected: readonly Digest[],
  call: (...inputs: flow.Blob[]) => flow.Blob,
): Promise<void> {
  const make = (shape: readonly number[], seed: number): Tensor => tensorOf(dtype, shape, fill(sizeOf(shape), seed));
  const inputs = shapes.map((shape, i) => make(shape, i + 1));
  const { shape } = graphOf("type", inputs, (...blobs) => [call(...blobs)]).graph.outputs[0]!;
  const session = await engine.open({});
  const results = await evaluate(engine, session, [...inputs, make(shape, 3)], withGradients(call));
  await session.close();
  expect(results.length).toBe(expected.length);
  const tolerance = dtype === "float64" ? 1e-10 : 2e-5;
  for (const [i, result] of results.entries()) {
    const values = numbers(result);
    expect(result.shape).toEqual(expected[i]!.shape);
    const scale = Math.max(1, ...values.map(Math.abs));
    for (const [j, head] of expected[i]!.head.entries())
      expect(Math.abs(values[j]! - head)).toBeLessThanOrEqual(tolerance * scale);
    for (const [k, product] of expected[i]!.products.entries()) {
      const got = fill(values.length, 10 + k).reduce((sum, v, j) => sum + v * values[j]!, 0);
      expect(Math.abs(got - product)).toBeLessThanOrEqual(tolerance * scale * Math.sqrt(values.length));
    }
  }
}

for (const form of forms) {
  describe(`${form[0].name} ${form[1]} against PyTorch`, () => {
    for (const [n, { x, w, y, dx, dw, strides, padding, ...options }] of golden.conv.entries())
      test(`conv2d ${n}: ${JSON.stringify({ x, w, strides, padding, ...options })}`, () =>
        compare(form, [x, w], [y, dx, dw], (a, b) => flow.nn.conv2d(a!, b!, strides, padding, options)));
    for (const [n, { kind, x, ksize, strides, padding, dataFormat, y, dx }] of golden.pool.entries())
      test(`${kind}Pool2d ${n}: ${JSON.stringify({ x, ksize, strides, padding, dataFormat })}`, () => {
        const pool = kind === "max" ? flow.nn.maxPool2d : flow.nn.avgPool2d;
        return compare(form, [x], [y, dx], (a) => pool(a!, ksize, strides, padding, { dataFormat }));
      });
  });
}
