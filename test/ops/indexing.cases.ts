import * as flow from "onestep";
import { equalGroups, replaceRows } from "#src/ops/rows.js";
import type { Row } from "./rows.js";

const { math } = flow;
const clamped = (shape: string, count: number, first: number): string =>
  [
    `%${first}:int32[1] = constant {value=0, dtype="int32", shape=[1]}`,
    `%${first + 1}:int32[${shape}] = maximum %1 %${first}`,
    `%${first + 2}:int32[1] = constant {value=${count}, dtype="int32", shape=[1]}`,
    `%${first + 3}:int32[${shape}] = minimum %${first + 1} %${first + 2}`,
  ].join("\n");
const ids = (...data: number[]): { shape: number[]; data: number[]; dtype: "int32" } => ({
  shape: [data.length],
  data,
  dtype: "int32",
});

export const rows: readonly Row[] = [
  {
    op: "argmax",
    inputs: [{ shape: [4, 5] }],
    call: (a) => math.argmax(a),
    print: "%1:int32[4] = argmax %0 {axis=1}",
    differentiable: false,
    exact: [
      { inputs: [{ shape: [2, 3], data: [1, 3, 3, 7, 0, 7] }], output: [1, 0] },
      { inputs: [{ shape: [3], data: [1, 9, 9], dtype: "int64" }], output: [1] },
    ],
  },
  {
    op: "topK",
    inputs: [{ shape: [3, 5] }],
    call: (a) => math.topK(a, { k: 2 }),
    print: "%1:int32[3,2] = topK %0 {k=2}",
    differentiable: false,
    exact: [
      { inputs: [{ shape: [2, 4], data: [1, 3, 3, 2, 7, 0, 7, 7] }], output: [1, 2, 0, 2] },
      { inputs: [{ shape: [3], data: [1, 9, 9], dtype: "int8" }], output: [1, 2] },
      { inputs: [{ shape: [1], data: [1], dtype: "int64" }], output: [0] },
    ],
  },
  {
    op: "gather",
    inputs: [{ shape: [4, 3] }, { shape: [2, 2], dtype: "int32", range: [0, 3] }],
    call: (a, i) => flow.gather(a, i),
    print: `${clamped("2,2", 3, 2)}\n%6:float[2,2,3] = gather %0 %5 {axis=0}`,
    exact: [
      {
        inputs: [{ shape: [3], data: [5, 6, 7] }, ids(2, 0, 2)],
        output: [7, 5, 7],
        gradients: [[1, 0, 2], null],
      },
    ],
  },
  {
    op: "gather",
    inputs: [{ shape: [2, 5, 3] }, { shape: [4], dtype: "int32", range: [0, 4] }],
    call: (a, i) => flow.gather(a, i, { axis: 1 }),
    print: `${clamped("4", 4, 2)}\n%6:float[2,4,3] = gather %0 %5 {axis=1}`,
  },
  {
    op: "gather",
    inputs: [{ shape: [2, 3] }, { shape: [2, 4], dtype: "int32", range: [0, 2] }],
    call: (a, i) => flow.gather(a, i, { batchDims: 1 }),
    print: `${clamped("2,4", 2, 2)}
%6:float[6] = reshape %0 {shape=[6]}
%7:int32[2,1] = iota {shape=[2,1], axis=0, dtype="int32"}
%8:int32[1] = constant {value=3, dtype="int32", shape=[1]}
%9:int32[2,1] = multiply %7 %8
%10:int32[2,4] = reshape %5 {shape=[2,4]}
%11:int32[2,4] = add %10 %9
%12:int32[2,4] = reshape %11 {shape=[2,4]}
%13:float[2,4] = gather %6 %12 {axis=0}`,
    exact: [
      {
        inputs: [
          { shape: [2, 2], data: [1, 2, 3, 4] },
          { shape: [2, 1], data: [1, 0], dtype: "int64" },
        ],
        output: [2, 3],
        gradients: [[0, 1, 1, 0], null],
      },
    ],
  },
  {
    op: "oneHot",
    inputs: [{ shape: [2], dtype: "int32", range: [0, 2] }],
    call: (i) => flow.oneHot(i, 3, { onValue: 5, offValue: -1 }),
    print: `%1:int32[2,1] = reshape %0 {shape=[2,1]}
%2:int32[3] = iota {shape=[3], axis=0, dtype="int32"}
%3:bool[2,3] = equal %1 %2
%4:float[1] = constant {value=5, dtype="float", shape=[1]}
%5:float[1] = constant {value=-1, dtype="float", shape=[1]}
%6:float[2,3] = where %3 %4 %5`,
    differentiable: false,
    exact: [{ inputs: [ids(2, 0)], output: [-1, -1, 5, 5, -1, -1] }],
  },
  {
    op: "oneHot",
    inputs: [{ shape: [2], dtype: "int32", range: [0, 2] }],
    call: (i) => flow.oneHot(i, 3, { axis: 0, dtype: "int32" }),
    print: `%1:int32[1,2] = reshape %0 {shape=[1,2]}
%2:int32[3,1] = iota {shape=[3,1], axis=0, dtype="int32"}
%3:bool[3,2] = equal %1 %2
%4:int32[1] = constant {value=1, dtype="int32", shape=[1]}
%5:int32[1] = constant {value=0, dtype="int32", shape=[1]}
%6:int32[3,2] = where %3 %4 %5`,
    differentiable: false,
    exact: [{ inputs: [ids(2, 0)], output: [0, 1, 0, 0, 1, 0] }],
  },
  {
    op: "maskedFill",
    inputs: [{ shape: [2, 3] }, { shape: [3], dtype: "int8", range: [0, 1] }],
    call: (a, m) => flow.maskedFill(a, m, -9),
    print: `%2:bool[3] = cast %1 {dtype="bool"}
%3:float[1] = constant {value=-9, dtype="float", shape=[1]}
%4:float[2,3] = where %2 %3 %0`,
    exact: [
      {
        inputs: [
          { shape: [3], data: [1, NaN, 3] },
          { shape: [3], data: [0, 1, 2], dtype: "int8" },
        ],
        output: [1, -9, -9],
        gradients: [[1, 0, 0], null],
      },
    ],
  },
  {
    op: "tril",
    inputs: [{ shape: [2, 3, 3] }],
    call: (a) => math.tril(a, { diagonal: 1 }),
    print: `%1:int32[1,3] = iota {shape=[1,3], axis=1, dtype="int32"}
%2:int32[3,1] = iota {shape=[3,1], axis=0, dtype="int32"}
%3:int32[1] = constant {value=1, dtype="int32", shape=[1]}
%4:int32[3,1] = add %2 %3
%5:bool[3,3] = lessEqual %1 %4
%6:float[1] = constant {value=0, dtype="float", shape=[1]}
%7:float[2,3,3] = where %5 %0 %6`,
    exact: [{ inputs: [{ shape: [2, 3], data: [1, 2, 3, 4, 5, 6] }], output: [1, 2, 0, 4, 5, 6] }],
  },
  {
    op: "segmentSum",
    inputs: [{ shape: [4, 3] }, { shape: [4], dtype: "int32", range: [0, 2] }],
    call: (a, i) => math.unsortedSegmentSum(a, i, 2),
    print: `${clamped("4", 2, 2)}
%6:float[4,3] = reshape %0 {shape=[4,3]}
%7:float[4,3] = transpose %6 {perm=[0,1]}
%8:int32[4] = reshape %5 {shape=[4]}
%9:float[3,3] = segmentSum %7 %8 {segments=3}
%10:float[3,3] = transpose %9 {perm=[0,1]}
%11:float[2,3] = slice %10 {starts=[0,0], sizes=[2,3], steps=[1,1]}`,
    exact: [
      {
        inputs: [{ shape: [5], data: [1, 2, 4, 8, 16] }, ids(0, 1, 0, 2, 1)],
        output: [5, 18],
        gradients: [[1, 1, 1, 0, 1], null],
      },
    ],
  },
  {
    op: "segmentSum",
    inputs: [{ shape: [2, 3, 2] }, { shape: [3], dtype: "int32", range: [0, 1] }],
    call: (a, i) => flow.unsortedSegmentSumLike(a, i, flow.constant(0, { dtype: a.dtype, shape: [2, 2] }), { axis: 1 }),
    print: `%2:float[2,2] = constant {value=0, dtype="float", shape=[2,2]}
${clamped("3", 2, 3)}
%7:float[2,3,2] = reshape %0 {shape=[2,3,2]}
%8:float[3,2,2] = transpose %7 {perm=[1,0,2]}
%9:int32[3] = reshape %6 {shape=[3]}
%10:float[3,2,2] = segmentSum %8 %9 {segments=3}
%11:float[2,3,2] = transpose %10 {perm=[1,0,2]}
%12:float[2,2,2] = slice %11 {starts=[0,0,0], sizes=[2,2,2], steps=[1,1,1]}`,
  },
  {
    op: "segmentSum",
    inputs: [{ shape: [2, 3, 2] }, { shape: [2, 3], dtype: "int32", range: [0, 1] }],
    call: (a, i) => flow.unsortedBatchSegmentSum(a, i, 2),
    print: `${clamped("2,3", 2, 2)}
%6:int32[2,3] = reshape %5 {shape=[2,3]}
%7:int32[2,1] = iota {shape=[2,1], axis=0, dtype="int32"}
%8:int32[1] = constant {value=3, dtype="int32", shape=[1]}
%9:int32[2,1] = multiply %7 %8
%10:int32[2,3] = add %6 %9
%11:float[6,2] = reshape %0 {shape=[6,2]}
%12:int32[6] = reshape %10 {shape=[6]}
%13:float[6,2] = segmentSum %11 %12 {segments=6}
%14:float[2,3,2] = reshape %13 {shape=[2,3,2]}
%15:float[2,2,2] = slice %14 {starts=[0,0,0], sizes=[2,2,2], steps=[1,1,1]}`,
    exact: [
      {
        inputs: [
          { shape: [2, 3], data: [1, 2, 4, 8, 16, 32] },
          { shape: [2, 3], data: [0, 1, 0, 1, 1, 2], dtype: "int32" },
        ],
        output: [5, 2, 0, 24],
        gradients: [[1, 1, 1, 1, 1, 0], null],
      },
    ],
  },
  {
    op: "equalGroups",
    inputs: [{ shape: [7], dtype: "int32", range: [0, 3] }],
    call: (i) => equalGroups(i),
    print: "%1:int32[7] = equalGroups %0",
    differentiable: false,
    exact: [
      { inputs: [ids(5, 2, 5, 9, 2)], output: [0, 1, 0, 2, 1] },
      { inputs: [{ shape: [3], data: [7, 7, 7], dtype: "int64" }], output: [0, 0, 0] },
      { inputs: [{ shape: [1], data: [3], dtype: "int8" }], output: [0] },
    ],
  },
  {
    op: "replaceRows",
    inputs: [{ shape: [4, 3] }, { shape: [1], dtype: "int32", range: [0, 3] }, { shape: [1, 3] }],
    call: (table, i, values) => replaceRows(table, i, values),
    print: "%3:float[4,3] = replaceRows %0 %1 %2",
    differentiable: false,
    exact: [
      {
        inputs: [
          { shape: [3, 2], data: [1, 2, 3, 4, 5, 6] },
          { shape: [3], data: [2, 0, 2], dtype: "int64" },
          { shape: [3, 2], data: [7, 8, 9, 10, 7, 8] },
        ],
        output: [9, 10, 3, 4, 7, 8],
      },
      { inputs: [{ shape: [3], data: [1, 2, 3] }, ids(1), { shape: [1], data: [4] }], output: [1, 4, 3] },
    ],
  },
];
