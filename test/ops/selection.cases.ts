import * as flow from "onestep";
import type { DType } from "#src/core/dtype.js";
import type { Exact, Row } from "./rows.js";

// What leaves a job is cut to what counts (test/jobs/extent.test.ts); here the padding is seen: zeros.
const ints = (shape: number[], data: number[], dtype: DType = "int32"): Exact["inputs"][number] => ({
  shape,
  data,
  dtype,
});
const numbers: readonly DType[] = ["int8", "uint8", "int32", "int64"];
const { uniqueWithCounts } = flow.experimental;

/** A row for one of the results. */
const unique = (
  result: 0 | 1 | 2 | 3,
  options: flow.experimental.UniqueWithCountsOptions,
  outputs: readonly number[],
): Row => ({
  op: "uniqueWithCounts",
  inputs: [{ shape: [7], dtype: "int32", range: [0, 3] }],
  call: (x) => uniqueWithCounts(x, options)[result],
  differentiable: false,
  exact: [
    { inputs: [{ shape: [9], data: [4, 1, 1, -2, 4, 4, 7, 8, 8] }], output: outputs },
    ...(["int8", "int32", "int64"] as const).map(
      (dtype): Exact => ({ inputs: [ints([9], [4, 1, 1, -2, 4, 4, 7, 8, 8], dtype)], output: outputs }),
    ),
    { inputs: [ints([1], [0], "uint8")], output: [[0], [0], [1], [1]][result]! },
    { inputs: [ints([2], [5, 5])], output: [[5, 0], [0, 0], [2, 0], [1]][result]! },
  ],
});

export const rows: readonly Row[] = [
  {
    op: "argwhere",
    inputs: [{ shape: [2, 3], dtype: "int8", range: [0, 1] }],
    call: (x) => flow.argwhere(x),
    print: `%1:bool[2,3] = cast %0 {dtype="bool"}
%2:int32[2,3] = cast %1 {dtype="int32"}
%3:int32[6] = reshape %2 {shape=[6]}
%4:int32[1] = reduceSum %3 {axes=[0], keepDims=false}
%5:int32[6] = topK %3 {k=6}
%6:int32[6] = iota {shape=[6], axis=0, dtype="int32"}
%7:bool[6] = less %6 %4
%8:int32[1] = constant {value=0, dtype="int32", shape=[1]}
%9:int32[6] = where %7 %5 %8
%10:int32[1] = constant {value=3, dtype="int32", shape=[1]}
%11:int32[6] = divide %9 %10
%12:int32[6,1] = reshape %11 {shape=[6,1]}
%13:int32[1] = constant {value=3, dtype="int32", shape=[1]}
%14:int32[6] = multiply %11 %13
%15:int32[6] = subtract %9 %14
%16:int32[6,1] = reshape %15 {shape=[6,1]}
%17:int32[6,2] = concat %12 %16 {axis=1}
%18:int32[6,2] = reshape %17 {shape=[6,2]}`,
    differentiable: false,
    exact: [
      { inputs: [{ shape: [2, 2], data: [0, NaN, -0, -0.5] }], output: [0, 1, 1, 1, 0, 0, 0, 0] },
      { inputs: [{ shape: [3], data: [0, 0, 0] }], output: [0, 0, 0] },
      { inputs: [{ shape: [1], data: [3] }], output: [0] },
      ...numbers.map(
        (dtype): Exact => ({ inputs: [ints([2, 2], [0, 3, 0, 100], dtype)], output: [0, 1, 1, 1, 0, 0, 0, 0] }),
      ),
    ],
  },
  {
    op: "argwhere",
    inputs: [{ shape: [2, 3, 2], dtype: "int32", range: [-1, 1] }],
    call: (x) => flow.argwhere(x, { dtype: "int64" }),
    differentiable: false,
  },
  {
    op: "argwhere",
    inputs: [{ shape: [2, 3] }],
    call: (x) => flow.where(x.greater(0)),
    differentiable: false,
    exact: [{ inputs: [{ shape: [3], data: [1, -1, 2] }], output: [0, 2, 0] }],
  },
  {
    op: "nonzero",
    inputs: [{ shape: [2, 2, 3], dtype: "int32", range: [0, 1] }],
    call: (x) => flow.nonzero(x),
    differentiable: false,
    exact: [{ inputs: [ints([2, 2], [0, 3, 0, -1])], output: [0, 1, 0, 0, 1, 1, 0, 0] }],
  },
  {
    // Padding is 0 in what is gathered by it, and gets no gradient.
    op: "gatherNd",
    inputs: [{ shape: [2, 3] }],
    call: (x) => flow.gatherNd(x, flow.argwhere(x.greater(0))),
    exact: [
      { inputs: [{ shape: [2, 2], data: [5, -6, -7, 8] }], output: [5, 8, 0, 0], gradients: [[1, 0, 0, 1]] },
      { inputs: [{ shape: [2], data: [-6, -7] }], output: [0, 0], gradients: [[0, 0]] },
    ],
  },
  {
    op: "gather",
    inputs: [{ shape: [4, 2] }, { shape: [4], dtype: "int32", range: [0, 1] }],
    call: (x, mask) => flow.gather(x, flow.dynamicReshape(flow.argwhere(mask), [-1])),
    exact: [
      {
        inputs: [{ shape: [3], data: [5, 6, 7] }, ints([3], [0, 1, 1])],
        output: [6, 7, 0],
        gradients: [[0, 1, 1], null],
      },
    ],
  },
  {
    // Padding scatters nothing.
    op: "scatterNd",
    inputs: [{ shape: [5] }, { shape: [5], dtype: "int32", range: [0, 1] }],
    call: (u, mask) => flow.scatterNd(flow.argwhere(mask), u, mask.shape),
    exact: [
      {
        inputs: [{ shape: [3], data: [5, 6, 7] }, ints([3], [0, 1, 0])],
        output: [0, 5, 0],
        gradients: [[1, 0, 0], null],
      },
      { inputs: [{ shape: [2], data: [5, 6] }, ints([2], [0, 0])], output: [0, 0], gradients: [[0, 0], null] },
    ],
  },
  {
    op: "tensorScatterNdUpdate",
    inputs: [{ shape: [2, 2] }, { shape: [4] }, { shape: [2, 2], dtype: "int32", range: [0, 1] }],
    call: (p, u, mask) => flow.tensorScatterNdUpdate(p, flow.argwhere(mask), u),
    exact: [
      {
        inputs: [{ shape: [3], data: [1, 2, 3] }, { shape: [3], data: [5, 6, 7] }, ints([3], [0, 1, 1])],
        output: [1, 5, 6],
        gradients: [[1, 0, 0], [1, 1, 0], null],
      },
      {
        inputs: [{ shape: [1], data: [1] }, { shape: [1], data: [5] }, ints([1], [0])],
        output: [1],
        gradients: [[1], [0], null],
      },
    ],
  },
  {
    op: "elemCnt",
    inputs: [{ shape: [2, 3], dtype: "int8", range: [0, 1] }],
    call: (x) => flow.elemCnt(flow.argwhere(x), { dtype: "float64" }),
    differentiable: false,
    exact: [{ inputs: [{ shape: [2, 2], data: [0, 3, 1, 2] }], output: [6] }],
  },
  {
    op: "elemCnt",
    inputs: [{ shape: [2, 3] }],
    call: (x) => flow.elemCnt(x),
    print: `%1:int32[1] = constant {value=6, dtype="int32", shape=[1]}`,
    differentiable: false,
  },
  {
    op: "reducedShapeElemCnt",
    inputs: [{ shape: [2, 3, 4] }],
    call: (x) => flow.math.reducedShapeElemCnt(x, { axis: [0, -1], dtype: "int64" }),
    print: `%1:int64[1] = constant {value=8, dtype="int64", shape=[1]}`,
    differentiable: false,
  },
  {
    op: "reducedShapeElemCnt",
    inputs: [{ shape: [2, 3], dtype: "int8", range: [0, 1] }],
    call: (x) => flow.math.reducedShapeElemCnt(flow.nonzero(x), { axis: 1 }),
    differentiable: false,
    exact: [{ inputs: [{ shape: [2, 2], data: [0, 3, 1, 2] }], output: [3] }],
  },
  unique(0, {}, [4, 1, -2, 7, 8, 0, 0, 0, 0]),
  unique(1, {}, [0, 1, 1, 2, 0, 0, 3, 4, 4]),
  unique(2, { outIdx: "int64" }, [3, 2, 1, 1, 2, 0, 0, 0, 0]),
  unique(3, {}, [5]),
];
