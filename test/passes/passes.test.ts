import * as flow from "onestep";
import { expect, test } from "vitest";
import { backpropagate } from "#src/autodiff/backpropagate.js";
import type { DType } from "#src/core/dtype.js";
import { fuse } from "#src/engines/onnx/rewrite.js";
import { check } from "#src/graph/check.js";
import type { Graph } from "#src/graph/graph.js";
import { print } from "#src/graph/print.js";
import { findOp } from "#src/ops/index.js";
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
  ["transpose twice", (x) => flow.transpose(flow.transpose(x, { perm: [1, 0] }), { perm: [1, 0] }), "return %0"],
  [
    "int8 of a comparison used as a condition",
    (x) => flow.where(x.greater(0), x, 0),
    '%1:float32[1] = constant {value=0, dtype="float32", shape=[1]}\n%2:bool[2,3] = greater %0 %1\n%3:float32[2,3] = where %2 %0 %1\nreturn %3',
  ],
])("%s", (_, fn, expected) => {
  expect(simplified([f(2, 3)], (x) => [fn(x!)])).toBe(expected);
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

test("onnx: an update is one Gemm over the weights", () => {
  const { graph, builder } = graphOf("job", [f(100, 784), f(100, 512), f(512, 784)], (x, dy, w) => [
    w!.sub(flow.matmul(dy!, x!, { transposeA: true }).mul(0.001)),
  ]);
  const fused: Graph = fuse(simplify(graph, builder.context), builder.context);
  expect(print(fused).split("\n").slice(3).join("\n")).toBe(
    "%3:float32[512,784] = onnx.gemm %1 %0 %2 {transposeA=true, transposeB=false, alpha=-0.001, shape=[512,784]}\nreturn %3",
  );
});

test("check finds what a broken pass leaves", () => {
  const { graph } = graphOf("job", [f(2)], (x) => [x!.add(1)]);
  expect(() => check({ ...graph, nodes: graph.nodes.slice(1) }, "test", findOp as never)).toThrow(
    /which no earlier node makes/,
  );
});
