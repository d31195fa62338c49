import { readFileSync } from "node:fs";
import * as flow from "onestep";
import { expect, test } from "vitest";
import type { DType } from "#src/core/dtype.js";
import type { Op } from "#src/ops/define.js";
import { ops } from "#src/ops/index.js";
import { graphOf } from "../ops/harness.js";
import { publicFunctions } from "../ops/public-api.js";
import { call, readCases } from "./cases.js";

// An op without numbers from outside (PyTorch or numpy) is only compared with ourselves. Here every op of the graphs, its
// gradient, and every public function of blobs has a case in ops.json, ops-gradients.json or conv.json, or a reason why not.

type Shape = readonly number[];
interface Window {
  readonly x: Shape;
  readonly w?: Shape;
  readonly y: { readonly shape: Shape };
  readonly kind?: "max" | "avg";
  readonly ksize: Shape;
  readonly strides: Shape;
  readonly padding: "SAME";
  readonly dx: object;
  readonly dw?: object;
}
type Options = { readonly dataFormat: string };
const windows = JSON.parse(readFileSync(new URL("./conv.json", import.meta.url), "utf8")) as Record<string, Window[]>;

/** Public names with a value, those with a gradient too, and the same of the ops in their graphs. */
const values = new Set<string>();
const gradients = new Set<string>();
const opValues = new Set<string>();
const opGradients = new Set<string>();

function see(
  name: string,
  types: { dtype: DType; shape: Shape }[],
  fn: (...x: flow.Blob[]) => flow.Blob,
  graded: boolean,
) {
  const { graph } = graphOf("case", types, (...blobs) => [fn(...blobs)]);
  const found = graph.nodes.map(({ op }) => op);
  values.add(name);
  for (const op of found) opValues.add(op);
  if (!graded) return;
  gradients.add(name);
  for (const op of found) opGradients.add(op);
}

for (const { op, attrs, inputs, grads } of [...readCases("ops.json"), ...readCases("ops-gradients.json")])
  see(op, [...inputs], (...blobs) => call(op, attrs, blobs), grads?.some((g) => g !== null) ?? false);

// conv.test.ts runs all of them, values and gradients; the kinds are what counts here.
const names: Readonly<Record<string, (kind: string, axes: number) => string>> = {
  conv: () => "conv2d",
  blocks: () => "conv2d",
  tiles: () => "conv2d",
  fewPlaces: (_, axes) => `conv${axes}d`,
  pool: (kind) => `${kind}Pool2d`,
  pool1d: (kind) => `${kind}Pool1d`,
  pool3d: (kind) => `${kind}Pool3d`,
};
for (const [file, some] of Object.entries(windows)) {
  for (const { x, w, y: _y, kind = "", ksize, strides, padding, dx: _dx, dw: _dw, ...options } of some) {
    const types = [x, ...(w === undefined ? [] : [w])].map((shape) => ({ dtype: "float64" as const, shape }));
    if (file === "transpose") {
      see("torchConv2dTranspose", types, (a, b) => flow.nn.torchConv2dTranspose(a!, b!, { ...options, strides }), true);
      values.add("conv2dTranspose");
      gradients.add("conv2dTranspose");
      continue;
    }
    const name = names[file]?.(kind, x.length - 2) ?? file;
    const fn = flow.nn[name as "conv2d"];
    const pool = flow.nn[name as "maxPool2d"];
    if (w === undefined)
      see(name, types, (a) => pool(a!, ksize, strides, padding, options as unknown as Options), true);
    else see(name, types, (a, b) => fn(a!, b!, strides, padding, options as unknown as Options), true);
  }
}

/** Ops of graphs, and public functions, that have none, and why. */
const reasons: Readonly<Record<string, string>> = {
  avgPoolGrad: "its values are the gradients of avgPool2d in conv.json",
  equalGroups: "no counterpart in PyTorch: exact values in its conformance row",
  replaceRows: "inside LazyAdam only: exact values in its conformance row",
  dropoutMask: "drawn at random: its distribution is tested, and that all engines see the same",
  permutation: "drawn at random: its distribution is tested",
  randomNumbers: "drawn at random: their distribution is tested",
  ofrecordRawDecoder: "its values are those that Python's protobuf wrote, in test/golden/ofrecord",
  ofrecordReader: "places in files; what lies there is in test/golden/ofrecord",
  observe: "the identity, which keeps a value for watchers",
  later: "the identity, which waits for a gradient",
  dropout: "drawn at random; what it does with the mask is multiply",
  randomMaskLike: "drawn at random",
  bernoulli: "drawn at random",
  generateRandomBatchPermutationIndices: "drawn at random",
  shuffle: "drawn at random; what it does with the places is gather",
  elemCnt: "a number of the shape: a constant",
  reducedShapeElemCnt: "a number of the shape: a constant",
  categoricalOrdinalEncode: "the original has no counterpart in PyTorch; its table is tested by hand",
  dynamicReshape: "reshape",
  identityN: "identity of each",
};
/** Gradients that have none, and why. */
const gradientReasons: Readonly<Record<string, string>> = {
  avgPoolGrad: "linear: its gradient is avgPool, which conv.json has",
  observe: "the identity",
  later: "the identity",
};

test("every op of graphs has a value from outside, and its gradient too, or a reason", () => {
  const all = Object.values(ops) as unknown as readonly Op[];
  const missing = all.filter(({ name }) => !opValues.has(name) && reasons[name] === undefined);
  expect(missing.map(({ name }) => name)).toEqual([]);
  const ungraded = all.filter(
    ({ name, grad }) =>
      grad !== "stop" && grad !== undefined && !opGradients.has(name) && gradientReasons[name] === undefined,
  );
  expect(ungraded.map(({ name }) => name)).toEqual([]);
});

/** Functions of blobs that compute nothing of their own; layers are ops on their variables (lenet.json and mlp.json hold whole ones). */
const others: Readonly<Record<string, string>> = {
  assign: "gives a variable its next value",
  gradients: "autodiff itself, which every gradient here goes through",
  watch: "shows a value",
  watchDiff: "shows a gradient",
  "layers.batchNormalization": "moments and nn.batchNormalization on variables",
  "layers.batchNormalizationAddRelu": "layers.batchNormalization, add and relu",
  "layers.batchNormalizationRelu": "layers.batchNormalization and relu",
  "layers.conv1d": "nn.conv1d and nn.biasAdd on variables",
  "layers.conv2d": "nn.conv2d and nn.biasAdd on variables; lenet.json",
  "layers.conv3d": "nn.conv3d and nn.biasAdd on variables",
  "layers.categoricalOrdinalEncoder": "categoricalOrdinalEncode on variables",
  "layers.dense": "matmul and nn.biasAdd on variables; mlp.json",
  "layers.layerNorm": "nn.layerNorm on variables",
  "layers.prelu": "where and multiply on a variable; its values, slopes and kink by hand in layers.test.ts",
  "losses.addLoss": "marks a loss",
};

test("every public function of blobs has a value from outside, or a reason", () => {
  const modules = ["", "layers", "linalg", "losses", "math", "nn", "random", "experimental"];
  const functions = publicFunctions().filter(
    ({ path, kind, parameters }) =>
      kind === "function" &&
      modules.includes(path.split(".").slice(0, -1).join(".")) &&
      parameters.some((p) => p.kind === "blob" || p.kind === "blobs" || p.kind === "operand"),
  );
  expect(functions.length).toBeGreaterThan(100);
  const missing = functions.filter(
    ({ path, declared }) => others[path] === undefined && !values.has(declared) && reasons[declared] === undefined,
  );
  expect(missing.map(({ path }) => path)).toEqual([]);
});

test("no reason is given for what has a value", () => {
  const stale = Object.keys(reasons).filter((name) => values.has(name) || opValues.has(name));
  expect(stale).toEqual([]);
  const paths = new Set(publicFunctions().map(({ path }) => path));
  expect(Object.keys(others).filter((path) => !paths.has(path))).toEqual([]);
});
