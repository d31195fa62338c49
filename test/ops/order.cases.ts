import * as flow from "onestep";
import type { DType } from "#src/core/dtype.js";
import type { Exact, Row } from "./rows.js";

/** The same numbers in every dtype that has them. */
const dtypes: readonly DType[] = ["int8", "int32", "int64", "uint8"];
const small = [3, 0, 3, 1, 2, 2];
const each = (output: readonly number[]): Exact[] =>
  dtypes.map((dtype) => ({ inputs: [{ shape: [2, 3], data: small, dtype }], output }));
/** The least and the greatest integers, whose negatives do not exist. */
const extremes: readonly (readonly [DType, number, number])[] = [
  ["int8", -128, 127],
  ["uint8", 0, 255],
  ["int32", -(2 ** 31), 2 ** 31 - 1],
  ["int64", -(2 ** 53), 2 ** 53],
];
const atExtremes = (direction: flow.SortDirection): Exact[] =>
  extremes.map(([dtype, least, most]) => ({
    inputs: [{ shape: [4], data: [1, most, least, 0 + least], dtype }],
    output: direction === "ASCENDING" ? [least, least, 1, most] : [most, 1, least, least],
  }));

export const rows: readonly Row[] = [
  {
    op: "argsort",
    inputs: [{ shape: [3, 5] }],
    call: (a) => flow.argsort(a),
    print: `%1:float[3,5] = negative %0
%2:int32[3,5] = topK %1 {k=5}`,
    differentiable: false,
    exact: [
      // Of equals the lower index comes first, in both directions.
      { inputs: [{ shape: [2, 3], data: small }], output: [1, 0, 2, 0, 1, 2] },
      { inputs: [{ shape: [4], data: [Infinity, -0, 0, -Infinity] }], output: [3, 1, 2, 0] },
      { inputs: [{ shape: [1], data: [7] }], output: [0] },
      { inputs: [{ shape: [2, 1], data: [7, 8] }], output: [0, 0] },
      ...each([1, 0, 2, 0, 1, 2]),
    ],
  },
  {
    op: "argsort",
    inputs: [{ shape: [2, 2, 4] }],
    call: (a) => flow.argsort(a, { direction: "DESCENDING" }),
    print: "%1:int32[2,2,4] = topK %0 {k=4}",
    differentiable: false,
    exact: [{ inputs: [{ shape: [2, 3], data: small }], output: [0, 2, 1, 1, 2, 0] }, ...each([0, 2, 1, 1, 2, 0])],
  },
  {
    op: "argsort",
    inputs: [{ shape: [6], dtype: "int32", range: [-3, 3] }],
    call: (a) => flow.argsort(a),
    print: `%1:int32[1] = constant {value=-1, dtype="int32", shape=[1]}
%2:int32[6] = subtract %1 %0
%3:int32[6] = topK %2 {k=6}`,
    differentiable: false,
  },
  {
    op: "sort",
    inputs: [{ shape: [6] }],
    call: (a) => flow.sort(a),
    print: `%1:float[6] = negative %0
%2:int32[6] = topK %1 {k=6}
%3:float[6] = gather %0 %2 {axis=0}`,
    exact: [
      { inputs: [{ shape: [4], data: [2, -1, 2, 0] }], output: [-1, 0, 2, 2], gradients: [[1, 1, 1, 1]] },
      { inputs: [{ shape: [1], data: [5] }], output: [5], gradients: [[1]] },
      ...atExtremes("ASCENDING"),
    ],
  },
  {
    op: "sort",
    inputs: [{ shape: [6] }],
    call: (a) => flow.sort(a, { direction: "DESCENDING" }),
    exact: [
      { inputs: [{ shape: [3], data: [-Infinity, 2, Infinity] }], output: [Infinity, 2, -Infinity] },
      ...atExtremes("DESCENDING"),
    ],
  },
  {
    op: "sort",
    inputs: [{ shape: [2, 2, 3] }],
    call: (a) => flow.sort(a),
    print: `%1:float[2,2,3] = negative %0
%2:int32[2,2,3] = topK %1 {k=3}
%3:int32[4,3] = reshape %2 {shape=[4,3]}
%4:int32[4,1] = iota {shape=[4,1], axis=0, dtype="int32"}
%5:int32[1] = constant {value=3, dtype="int32", shape=[1]}
%6:int32[4,1] = multiply %4 %5
%7:int32[4,3] = add %3 %6
%8:float[12] = reshape %0 {shape=[12]}
%9:int32[12] = reshape %7 {shape=[12]}
%10:float[12] = gather %8 %9 {axis=0}
%11:float[2,2,3] = reshape %10 {shape=[2,2,3]}`,
    exact: each([0, 3, 3, 1, 2, 2]),
  },
];
