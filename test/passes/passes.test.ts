import * as flow from "onestep";
import { expect, test } from "vitest";
import { backpropagate } from "#src/autodiff/backpropagate.js";
import type { DType } from "#src/core/dtype.js";
import { lowers } from "#src/engines/onnx/lower/table.js";
import { fuse } from "#src/engines/onnx/rewrite.js";
import { check } from "#src/graph/check.js";
import type { Graph } from "#src/graph/graph.js";
import { print } from "#src/graph/print.js";
import { emit } from "#src/graph/trace.js";
import { findOp } from "#src/ops/index.js";
import { segmentSumOp } from "#src/ops/indexing.js";
import { broadcastTo } from "#src/ops/structure.js";
import { decompose } from "#src/passes/decompose.js";
import { simplify } from "#src/passes/simplify.js";
import { graphOf } from "../ops/harness.js";

const f = (...shape: number[]): { dtype: DType; shape: number[] } => ({ dtype: "float32", shape });

/** What is left of a function after simplify, without its placeholders. */
function simplified(types: Parameters<typeof graphOf>[1], fn: Parameters<typeof graphOf>[2]): string {
  const { graph, builder } = graphOf("job", types, fn);
  const result = simplify(graph, builder.context);
  check(result, "simplify", findOp as never);
  return print(result)
    .split("\n")
    .filter((line) => !line.includes("placeholder"))
    .join("\n");
}

test.each<[string, (x: flow.Blob) => flow.Blob, string]>([
  ["x * 1", (x) => x.mul(1), "return %0"],
  ["x + 0", (x) => x.add(0), "return %0"],
  ["x - 0", (x) => x.sub(0), "return %0"],
  ["x / 1", (x) => x.div(1), "return %0"],
  ["-(-x)", (x) => x.neg().neg(), "return %0"],
  ["x + (-x)", (x) => x.add(x.neg()), "%1:float32[2,3] = subtract %0 %0\nreturn %1"],
  [
    "(x * 2) * 3",
    (x) => x.mul(2).mul(3),
    '%1:float32[1] = constant {value=6, dtype="float32", shape=[1]}\n%2:float32[2,3] = multiply %0 %1\nreturn %2',
  ],
  [
    "reshape twice",
    (x) => flow.reshape(flow.reshape(x, [6]), [3, 2]),
    "%1:float32[3,2] = reshape %0 {shape=[3,2]}\nreturn %1",
  ],
  ["reshape back", (x) => flow.reshape(flow.reshape(x, [6]), [2, 3]), "return %0"],
  [
    "the sum of -x",
    (x) => flow.math.reduceSum(x.neg(), { axis: 1 }),
    "%1:float32[2] = reduceSum %0 {axes=[1], keepDims=false}\n%2:float32[2] = negative %1\nreturn %2",
  ],
  ["transpose twice", (x) => flow.transpose(flow.transpose(x, { perm: [1, 0] }), { perm: [1, 0] }), "return %0"],
  [
    "int8 of a comparison used as a condition",
    (x) => flow.where(x.greater(0), x, 0),
    '%1:float32[1] = constant {value=0, dtype="float32", shape=[1]}\n%2:bool[2,3] = greater %0 %1\n%3:float32[2,3] = where %2 %0 %1\nreturn %3',
  ],
])("%s", (_, fn, expected) => {
  expect(simplified([f(2, 3)], (x) => [fn(x!)])).toBe(expected);
});

test("a scale that is the same along the summed axes is taken out of a sum; any other stays", () => {
  const sum = (...scale: number[]): string =>
    simplified([f(2, 3, 4), f(...scale)], (x, s) => [flow.math.reduceSum(x!.mul(s!), { axis: [0, 2] })]);
  expect(sum(3, 1)).toBe(
    "%2:float32[1,3,1] = reduceSum %0 {axes=[0,2], keepDims=true}\n%3:float32[1,3,1] = multiply %2 %1\n%4:float32[3] = reshape %3 {shape=[3]}\nreturn %4",
  );
  for (const other of [[4], [2, 1, 1], [2, 3, 4]])
    expect(sum(...other)).toMatch(/%2:float32\[2,3,4\] = multiply %0 %1\n.* = reduceSum %2/);
});

test("what an op would broadcast anyway is not broadcast before", () => {
  const spread = (x: flow.Blob): flow.Blob => broadcastTo(x, [2, 3]);
  const lines = (fn: (x: flow.Blob, y: flow.Blob) => flow.Blob): string =>
    simplified([f(3), f(2, 3)], (x, y) => [fn(x!, y!)]);
  expect(lines((x, y) => spread(x).sub(y))).toBe("%2:float32[2,3] = subtract %0 %1\nreturn %2");
  expect(lines((x, y) => y.div(spread(x)))).toBe("%2:float32[2,3] = divide %1 %0\nreturn %2");
  expect(lines((x) => spread(x).add(x))).toContain("broadcastTo");
});

test("x / 4 is x * 0.25, which is exact; x / 3 stays", () => {
  expect(simplified([f(2)], (x) => [x!.div(4)])).toContain("multiply");
  expect(simplified([f(2)], (x) => [x!.div(3)])).toContain("divide");
});

test("equal nodes are one, dead ones are gone", () => {
  expect(
    simplified([f(2)], (x) => {
      flow.math.exp(x!.add(5));
      return [flow.math.exp(x!).add(flow.math.exp(x!))];
    }),
  ).toBe("%1:float32[2] = exp %0\n%2:float32[2] = add %1 %1\nreturn %2");
});

test("the gradient of matmul is two matmuls, with transposes folded in", () => {
  const text = simplified([f(5, 7), f(3, 7), f(5, 3)], (a, b, dy) =>
    backpropagate([flow.matmul(a!, flow.transpose(b!, { perm: [1, 0] }))], [a!, b!], [dy!]).map((g) => g!),
  );
  expect(text).toBe(
    "%3:float32[5,7] = matmul %2 %1 {transposeA=false, transposeB=false}\n%4:float32[7,3] = matmul %0 %2 {transposeA=true, transposeB=false}\n%5:float32[3,7] = transpose %4 {perm=[1,0]}\nreturn %3, %5",
  );
});

test("fan-out sums and broadcasting reduces, in the driver", () => {
  expect(
    simplified([f(2, 3), f(3), f(2, 3)], (x, b, dy) => backpropagate([x!.add(b!).mul(x!)], [b!], [dy!]).map((g) => g!)),
  ).toBe("%2:float32[2,3] = multiply %1 %0\n%3:float32[3] = reduceSum %2 {axes=[0], keepDims=false}\nreturn %3");
});

test("a bias behind a max pool sums the pooled cells only", () => {
  expect(
    simplified([f(2, 3, 4, 4), f(3, 1, 1), f(2, 3, 2, 2)], (x, b, dy) =>
      backpropagate([flow.nn.maxPool2d(flow.math.relu(x!.add(b!)), 2, 2, "VALID")], [b!], [dy!]).map((g) => g!),
    )
      .split("\n")
      .slice(5)
      .join("\n"),
  ).toBe(
    "%9:float32[2,3,2,2] = where %8 %2 %7\n%10:float32[1,3,1,1] = reduceSum %9 {axes=[0,2,3], keepDims=true}\n%11:float32[3,1,1] = reshape %10 {shape=[3,1,1]}\nreturn %11",
  );
});

test("onnx: a max pool whose places nothing asks for gives the maxima alone", () => {
  const pooled = (places: boolean): string => {
    const { graph, builder } = graphOf("job", [f(2, 3, 4, 4), f(2, 3, 2, 2)], (x, dy) => {
      const y = flow.nn.maxPool2d(x!, 2, 2, "VALID");
      return places ? [y, backpropagate([y], [x!], [dy!])[0]!] : [y];
    });
    return print(fuse(graph, builder.context));
  };
  expect(pooled(false)).toMatch(/= onnx\.maxima %0/);
  expect(pooled(false)).not.toMatch(/maxPool/);
  expect(pooled(true)).toMatch(/= maxPool %0/);
});

test("onnx: an update is one Gemm over the weights", () => {
  const { graph, builder } = graphOf("job", [f(100, 784), f(100, 512), f(512, 784)], (x, dy, w) => [
    w!.sub(flow.matmul(dy!, x!, { transposeA: true }).mul(0.001)),
  ]);
  const fused: Graph = fuse(simplify(graph, builder.context), builder.context);
  expect(print(fused).split("\n").slice(3).join("\n")).toBe(
    "%3:float32[512,784] = onnx.gemm %1 %0 %2 {transposeA=true, transposeB=false, alpha=-0.001, shape=[512,784]}\nreturn %3",
  );
});

test("onnx: a constant that a product is multiplied by goes into it, unless the product is used elsewhere", () => {
  const [x, w] = [f(4, 3), f(3, 2)];
  expect(fused([x, w], (a, b) => [flow.matmul(a!, b!).mul(0.25)])).toBe(
    "%2:float32[4,2] = onnx.gemm %0 %1 {transposeA=false, transposeB=false, alpha=0.25, shape=[4,2]}\nreturn %2",
  );
  const twice = fused([x, w], (a, b) => {
    const product = flow.matmul(a!, b!);
    return [product, product.mul(0.25)];
  });
  expect(twice).toMatch(/ = matmul .*\n.* = multiply /s);
});

test("a table's gradient is scaled by rows, before they are added up", () => {
  const text = simplified([f(4, 3), { dtype: "int32", shape: [4] }, f(1)], (rows, ids, scale) => [
    emit(segmentSumOp, [rows!, ids!], { segments: 100 }).mul(scale!),
    emit(segmentSumOp, [rows!, ids!], { segments: 2 }).mul(scale!),
  ]);
  expect(text).toBe(`%3:float32[4,3] = multiply %0 %2
%4:float32[100,3] = segmentSum %3 %1 {segments=100}
%5:float32[2,3] = segmentSum %0 %1 {segments=2}
%6:float32[2,3] = multiply %5 %2
return %4, %6`);
});

/** A function as the onnx engine computes it, without its placeholders. */
function fused(types: Parameters<typeof graphOf>[1], fn: Parameters<typeof graphOf>[2]): string {
  const { graph, builder } = graphOf("job", types, fn);
  const whole = decompose(graph, builder.context, (_, node) => !lowers(node)).graph;
  return print(fuse(simplify(whole, builder.context), builder.context))
    .split("\n")
    .filter((line) => !line.includes("placeholder"))
    .join("\n");
}

test("onnx: normalization by the batch, what is added to it and relu are one pass over the centered images", () => {
  const images = f(8, 16, 28, 28);
  const text = fused([images, f(16), f(16), images], (x, scale, offset, addend) => {
    const normal = flow.nn.batchNormalization(x!, ...flow.nn.moments(x!, [0, 2, 3]), { scale, offset });
    return [flow.nn.relu(normal.add(addend!))];
  });
  expect(text.match(/(?<=\[8,16,28,28\] = )[\w.]+/g)).toEqual(["subtract", "onnx.channelAffine"]);
  expect(text).toMatch(/onnx.channelDot %(\d+) %\1\n/);
});

test("onnx: normalization by the batch of few places is two affine maps and the squares between", () => {
  const text = fused([f(8, 16, 4, 4), f(16), f(16)], (x, scale, offset) => [
    flow.nn.batchNormalization(x!, ...flow.nn.moments(x!, [0, 2, 3]), { scale, offset }),
  ]);
  const passes = ["onnx.channelAffine", "multiply", "onnx.channelAffine"];
  expect(text.match(/(?<=\[8,16,4,4\] = )[\w.]+/g)).toEqual(passes);
});

test("onnx: the gradient of a normalization by the batch is two sums and two passes", () => {
  const images = f(8, 16, 28, 28);
  const text = fused([images, f(16), f(16), images], (x, scale, offset, dy) => {
    const normal = flow.nn.batchNormalization(x!, ...flow.nn.moments(x!, [0, 2, 3]), { scale, offset });
    return backpropagate([normal], [x!, scale!, offset!], [dy!]).map((g) => g!);
  });
  expect(text.match(/(?<=\[8,16,28,28\] = )[\w.]+/g)).toEqual(["subtract", "multiply", "onnx.channelAffine"]);
  expect(text.match(/reduceSum|channelDot/g)).toEqual(["reduceSum", "channelDot", "reduceSum", "channelDot"]);
});

test("check finds what a broken pass leaves", () => {
  const { graph } = graphOf("job", [f(2)], (x) => [x!.add(1)]);
  expect(() => check({ ...graph, nodes: graph.nodes.slice(1) }, "test", findOp as never)).toThrow(
    /which no earlier node makes/,
  );
});
