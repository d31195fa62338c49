import { readFileSync } from "node:fs";
import * as flow from "onestep";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sizeOf } from "#src/core/shape.js";
import type { Tensor } from "#src/core/tensor.js";
import type { Engine, EngineSession } from "#src/engines/engine.js";
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
interface TransposeCase extends Omit<Case, "padding"> {
  readonly w: readonly number[];
  readonly dilations: readonly number[];
  readonly paddingNeeded: readonly [number, number];
  readonly outputPadding: readonly number[];
  readonly dw: Digest;
}

// By PyTorch in float64: test/golden/conv.py, which has the same `fill`.
const golden = JSON.parse(readFileSync(new URL("./conv.json", import.meta.url), "utf8")) as {
  readonly conv: readonly ConvCase[];
  readonly pool: readonly PoolCase[];
  readonly conv1d: readonly ConvCase[];
  readonly conv3d: readonly ConvCase[];
  readonly compatConv2d: readonly ConvCase[];
  readonly blocks: readonly ConvCase[];
  readonly fewPlaces: readonly ConvCase[];
  readonly tiles: readonly ConvCase[];
  readonly pool1d: readonly PoolCase[];
  readonly pool3d: readonly PoolCase[];
  readonly transpose: readonly TransposeCase[];
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

const sessions = new Map<Engine, EngineSession>();
beforeAll(async () => {
  for (const [engine] of forms) sessions.set(engine, sessions.get(engine) ?? (await engine.open({})));
});
afterAll(async () => {
  for (const session of sessions.values()) await session.close();
}, 60_000);

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
  const results = await evaluate(engine, sessions.get(engine)!, [...inputs, make(shape, 3)], withGradients(call));
  expect(results.length).toBe(expected.length);
  const tolerance = dtype === "float64" ? 1e-10 : 2e-5;
  for (const [i, result] of results.entries()) {
    const values = numbers(result);
    expect(result.shape).toEqual(expected[i]!.shape);
    const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    for (const [j, head] of expected[i]!.head.entries())
      expect(Math.abs(values[j]! - head)).toBeLessThanOrEqual(tolerance * scale);
    for (const [k, product] of expected[i]!.products.entries()) {
      const got = fill(values.length, 10 + k).reduce((sum, v, j) => sum + v * values[j]!, 0);
      expect(Math.abs(got - product)).toBeLessThanOrEqual(tolerance * scale * Math.sqrt(values.length));
    }
  }
}

const { nn } = flow;
const convolutions = {
  conv: nn.conv2d,
  conv1d: nn.conv1d,
  conv3d: nn.conv3d,
  compatConv2d: nn.compatConv2d,
  blocks: nn.conv2d,
  tiles: nn.conv2d,
  fewPlaces: ((x, ...rest) => [nn.conv1d, nn.conv2d, nn.conv3d][x.shape.length - 3]!(x, ...rest)) as typeof nn.conv2d,
};
const poolings = {
  pool: { max: nn.maxPool2d, avg: nn.avgPool2d },
  pool1d: { max: nn.maxPool1d, avg: nn.avgPool1d },
  pool3d: { max: nn.maxPool3d, avg: nn.avgPool3d },
};

for (const form of forms) {
  describe(`${form[0].name} ${form[1]} against PyTorch`, () => {
    for (const kind of ["conv", "conv1d", "conv3d", "compatConv2d", "blocks", "fewPlaces", "tiles"] as const)
      for (const [n, { x, w, y, dx, dw, strides, padding, ...options }] of golden[kind].entries())
        test(`${kind} ${n}: ${JSON.stringify({ x, w, strides, padding, ...options })}`, () =>
          compare(form, [x, w], [y, dx, dw], (a, b) => convolutions[kind](a!, b!, strides, padding, options)));
    for (const ranks of ["pool", "pool1d", "pool3d"] as const)
      for (const [n, { kind, x, ksize, strides, padding, dataFormat, y, dx }] of golden[ranks].entries())
        test(`${kind} ${ranks} ${n}: ${JSON.stringify({ x, ksize, strides, padding, dataFormat })}`, () =>
          compare(form, [x], [y, dx], (a) => poolings[ranks][kind](a!, ksize, strides, padding, { dataFormat })));
    for (const [n, { x, w, y, dx, dw, ...options }] of golden.transpose.entries()) {
      const { paddingNeeded, outputPadding: _, ...shared } = options;
      const half = paddingNeeded.map((cells) => cells / 2);
      const padding = shared.dataFormat === "NCHW" ? [0, 0, ...half] : [0, ...half, 0];
      test(`torchConv2dTranspose ${n}: ${JSON.stringify({ x, w, ...options })}`, () =>
        compare(form, [x, w], [y, dx, dw], (a, b) => nn.torchConv2dTranspose(a!, b!, options)));
      test(`conv2dTranspose ${n}: ${JSON.stringify({ x, w, padding, ...shared })}`, () =>
        compare(form, [x, w], [y, dx, dw], (a, b) => nn.conv2dTranspose(a!, b!, y.shape, { ...shared, padding })));
    }
  });
}
