import * as flow from "onestep";
import type { DType } from "#src/core/dtype.js";
import type { Exact, Row } from "./rows.js";

const ints = (shape: number[], data: number[], dtype: DType = "int32"): Exact["inputs"][number] => ({
  shape,
  data,
  dtype,
});
const all: readonly DType[] = ["int8", "uint8", "int32", "int64"];
const once = (op: string, inputs: Row["inputs"], call: Row["call"]): Row => ({ op, inputs, call });

export const rows: readonly Row[] = [
  {
    op: "gatherNd",
    inputs: [{ shape: [3, 2, 4] }, { shape: [5, 2], dtype: "int32", range: [0, 1] }],
    call: (a, i) => flow.gatherNd(a, i),
    print: `%2:int32[5,2] = reshape %1 {shape=[5,2]}
%3:int32[5,1] = slice %2 {starts=[0,0], sizes=[5,1], steps=[1,1]}
%4:int32[5] = reshape %3 {shape=[5]}
%5:int32[1] = reduceMin %4 {axes=[0], keepDims=false}
%6:int32[1] = reduceMax %4 {axes=[0], keepDims=false}
%7:int32[1] = constant {value=0, dtype="int32", shape=[1]}
%8:int32[5] = maximum %4 %7
%9:int32[1] = constant {value=2, dtype="int32", shape=[1]}
%10:int32[5] = minimum %8 %9
%11:int32[5,1] = slice %2 {starts=[0,1], sizes=[5,1], steps=[1,1]}
%12:int32[5] = reshape %11 {shape=[5]}
%13:int32[1] = reduceMin %12 {axes=[0], keepDims=false}
%14:int32[1] = reduceMax %12 {axes=[0], keepDims=false}
%15:int32[1] = constant {value=0, dtype="int32", shape=[1]}
%16:int32[5] = maximum %12 %15
%17:int32[1] = constant {value=1, dtype="int32", shape=[1]}
%18:int32[5] = minimum %16 %17
%19:int32[1] = constant {value=2, dtype="int32", shape=[1]}
%20:int32[5] = multiply %10 %19
%21:int32[5] = add %20 %18
%22:float[6,4] = reshape %0 {shape=[6,4]}
%23:float[5,4] = gather %22 %21 {axis=0}
%24:float[5,4] = reshape %23 {shape=[5,4]}`,
    exact: [
      {
        // One place twice, and places of the whole rank.
        inputs: [{ shape: [2, 2], data: [1, 2, 3, 4] }, ints([3, 2], [1, 0, 0, 1, 1, 0])],
        output: [3, 2, 3],
        gradients: [[0, 1, 2, 0], null],
      },
      {
        inputs: [{ shape: [2, 2], data: [1, 2, 3, 4] }, ints([2], [1, 1])],
        output: [4],
        gradients: [[0, 0, 0, 1], null],
      },
      { inputs: [{ shape: [3], data: [1, 2, 3] }, ints([2, 1], [2, 0], "int64")], output: [3, 1] },
      ...all.map(
        (dtype): Exact => ({ inputs: [ints([2, 2], [1, 2, 3, 4], dtype), ints([2, 1], [1, 1])], output: [3, 4, 3, 4] }),
      ),
    ],
  },
  once("gatherNd", [{ shape: [3, 4] }, { shape: [2, 2, 1], dtype: "int64", range: [0, 2] }], (a, i) =>
    flow.gatherNd(a, i),
  ),
  {
    op: "scatterNd",
    inputs: [{ shape: [4, 1], dtype: "int32", range: [0, 2] }, { shape: [4, 2] }],
    call: (i, u) => flow.scatterNd(i, u, [3, 2]),
    print: `%2:int32[4,1] = reshape %0 {shape=[4,1]}
%3:int32[4] = reshape %2 {shape=[4]}
%4:int32[1] = reduceMin %3 {axes=[0], keepDims=false}
%5:int32[1] = reduceMax %3 {axes=[0], keepDims=false}
%6:int32[1] = constant {value=0, dtype="int32", shape=[1]}
%7:int32[4] = maximum %3 %6
%8:int32[1] = constant {value=2, dtype="int32", shape=[1]}
%9:int32[4] = minimum %7 %8
%10:float[4,2] = reshape %1 {shape=[4,2]}
%11:float[3,2] = segmentSum %10 %9 {segments=3}
%12:float[3,2] = reshape %11 {shape=[3,2]}`,
    exact: [
      {
        inputs: [ints([3, 1], [2, 0, 2]), { shape: [3, 2], data: [1, 2, 4, 8, 16, 32] }],
        output: [4, 8, 0, 0, 17, 34],
        gradients: [null, [1, 1, 1, 1, 1, 1]],
      },
      ...all.map(
        (dtype): Exact => ({
          inputs: [ints([3, 1], [2, 0, 2], "int64"), ints([3, 2], [1, 2, 4, 8, 16, 32], dtype)],
          output: [4, 8, 0, 0, 17, 34],
        }),
      ),
    ],
  },
  {
    op: "scatterNd",
    inputs: [{ shape: [2, 3, 2], dtype: "int32", range: [0, 1] }, { shape: [2, 3] }],
    call: (i, u) => flow.scatterNd(i, u, [2, 2]),
    exact: [
      {
        inputs: [ints([1, 2], [1, 0]), { shape: [1], data: [7] }],
        output: [0, 0, 7, 0],
        gradients: [null, [1]],
      },
    ],
  },
  {
    op: "tensorScatterNdAdd",
    inputs: [{ shape: [3, 2] }, { shape: [4, 1], dtype: "int32", range: [0, 2] }, { shape: [4, 2] }],
    call: (p, i, u) => flow.tensorScatterNdAdd(p, i, u),
    exact: [
      {
        inputs: [{ shape: [3], data: [10, 20, 30] }, ints([3, 1], [2, 0, 2]), { shape: [3], data: [1, 2, 4] }],
        output: [12, 20, 35],
        gradients: [[1, 1, 1], null, [1, 1, 1]],
      },
      ...all.map(
        (dtype): Exact => ({
          inputs: [ints([3], [10, 20, 30], dtype), ints([3, 1], [2, 0, 2]), ints([3], [1, 2, 4], dtype)],
          output: [12, 20, 35],
        }),
      ),
    ],
  },
  {
    // Of updates of one place the last counts, and it alone gets the gradient.
    op: "tensorScatterNdUpdate",
    inputs: [{ shape: [3, 2] }, { shape: [4, 1], dtype: "int32", range: [0, 2] }, { shape: [4, 2] }],
    call: (p, i, u) => flow.tensorScatterNdUpdate(p, i, u),
    exact: [
      {
        inputs: [
          { shape: [3], data: [10, NaN, 30] },
          ints([4, 1], [2, 1, 2, 2]),
          { shape: [4], data: [NaN, 2, Infinity, 5] },
        ],
        output: [10, 2, 5],
        gradients: [[1, 0, 0], null, [0, 1, 0, 1]],
      },
      {
        inputs: [{ shape: [2, 2], data: [1, 2, 3, 4] }, ints([1, 2], [1, 0], "int64"), { shape: [1], data: [9] }],
        output: [1, 2, 9, 4],
        gradients: [[1, 1, 0, 1], null, [1]],
      },
      ...all.map(
        (dtype): Exact => ({
          inputs: [ints([3], [10, 20, 30], dtype), ints([3, 1], [2, 0, 2]), ints([3], [1, 2, 4], dtype)],
          output: [2, 20, 4],
        }),
      ),
    ],
  },
  once(
    "tensorScatterNdUpdate",
    [{ shape: [2, 3, 2] }, { shape: [2, 2, 2], dtype: "int64", range: [0, 1] }, { shape: [2, 2, 2] }],
    (p, i, u) => flow.tensorScatterNdUpdate(p, i, u),
  ),
];
