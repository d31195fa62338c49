import * as flow from "onestep";
import type { Row } from "./rows.js";

const { math } = flow;
const inf = Infinity;
const x = { shape: [2, 3, 2] };

export const rows: readonly Row[] = [
  {
    op: "squareSum",
    inputs: [x],
    call: (a) => flow.experimental.squareSum(a),
    print: `%1:float[2,3,2] = multiply %0 %0
%2:float[1] = reduceSum %1 {axes=[0,1,2], keepDims=false}`,
    exact: [
      { inputs: [{ shape: [2, 2], data: [1, -2, 3, 0] }], output: [14], gradients: [[2, -4, 6, 0]] },
      { inputs: [{ shape: [3], data: [1, -2, 3], dtype: "int32" }], output: [14] },
    ],
  },
  {
    op: "reduceSum",
    inputs: [x],
    call: (a) => math.reduceSum(a, { axis: [0, -1] }),
    print: "%1:float[3] = reduceSum %0 {axes=[0,2], keepDims=false}",
  },
  {
    op: "reduceSum",
    inputs: [x],
    call: (a) => math.reduceSum(a),
    print: "%1:float[1] = reduceSum %0 {axes=[0,1,2], keepDims=false}",
    exact: [
      { inputs: [{ shape: [2, 2], data: [1, 2, 3, 4] }], output: [10], gradients: [[1, 1, 1, 1]] },
      { inputs: [{ shape: [2], data: [1, 2], dtype: "int64" }], output: [3] },
    ],
  },
  // Large sums over the first axes, as of biases' gradients, are a product on the onnx engine.
  {
    op: "reduceSum",
    inputs: [{ shape: [16, 300] }],
    call: (a) => math.reduceSum(a, { axis: 0 }),
    print: "%1:float[300] = reduceSum %0 {axes=[0], keepDims=false}",
    exact: [
      {
        inputs: [
          { shape: [8, 512], data: Array.from({ length: 4096 }, (_, i) => (i === 3 ? inf : i === 5 ? NaN : i % 512)) },
        ],
        output: Array.from({ length: 512 }, (_, i) => (i === 3 ? inf : i === 5 ? NaN : 8 * i)),
      },
    ],
  },
  {
    op: "reduceSum",
    inputs: [{ shape: [4, 8, 20, 10] }],
    call: (a) => math.reduceSum(a, { axis: [0, 1], keepdims: true }),
    print: "%1:float[1,1,20,10] = reduceSum %0 {axes=[0,1], keepDims=true}",
  },
  {
    op: "reduceSum",
    inputs: [x],
    call: (a) => math.reduceSum(a, { axis: [] }),
    print: "%1:float[2,3,2] = reduceSum %0 {axes=[], keepDims=false}",
  },
  {
    op: "reduceMean",
    inputs: [x],
    call: (a) => math.reduceMean(a, { axis: 1, keepdims: true }),
    print:
      '%1:float[2,1,2] = reduceSum %0 {axes=[1], keepDims=true}\n%2:float[1] = constant {value=3, dtype="float", shape=[1]}\n%3:float[2,1,2] = divide %1 %2',
  },
  {
    op: "reduceMax",
    inputs: [x],
    call: (a) => math.reduceMax(a, { axis: 1 }),
    print: "%1:float[2,2] = reduceMax %0 {axes=[1], keepDims=false}",
  },
  {
    op: "reduceMax",
    inputs: [x],
    call: (a) => math.reduceMax(a),
    print: "%1:float[1] = reduceMax %0 {axes=[0,1,2], keepDims=false}",
    exact: [
      { inputs: [{ shape: [4], data: [3, 1, 3, 2] }], output: [3], gradients: [[0.5, 0, 0.5, 0]] },
      { inputs: [{ shape: [2], data: [1, 5], dtype: "int32" }], output: [5] },
    ],
  },
  {
    op: "reduceMin",
    inputs: [x],
    call: (a) => math.reduceMin(a, { axis: [1, 2], keepdims: true }),
    print: "%1:float[2,1,1] = reduceMin %0 {axes=[1,2], keepDims=true}",
  },
  {
    op: "reduceMin",
    inputs: [x],
    call: (a) => math.reduceMin(a),
    print: "%1:float[1] = reduceMin %0 {axes=[0,1,2], keepDims=false}",
    exact: [{ inputs: [{ shape: [3], data: [1, 1, 2] }], output: [1], gradients: [[0.5, 0.5, 0]] }],
  },
  {
    op: "reduceProd",
    inputs: [{ shape: [2, 3, 2], range: [0.5, 2] }],
    call: (a) => math.reduceProd(a, { axis: [0, 2] }),
    print: "%1:float[3] = reduceProd %0 {axes=[0,2], keepDims=false}",
    exact: [
      {
        inputs: [{ shape: [1, 3, 2], data: [2, 3, 0, 4, 0, 0] }],
        output: [6, 0, 0],
        gradients: [[3, 2, 4, 0, 0, 0]],
      },
    ],
  },
  {
    op: "reduceProd",
    inputs: [{ shape: [2, 3], range: [0.5, 2] }],
    call: (a) => math.reduceProd(a),
    print: "%1:float[1] = reduceProd %0 {axes=[0,1], keepDims=false}",
    exact: [
      { inputs: [{ shape: [3], data: [2, NaN, 0] }], output: [NaN] },
      { inputs: [{ shape: [3], data: [2, -3, 5], dtype: "int32" }], output: [-30] },
    ],
  },
  {
    op: "reduceProd",
    inputs: [{ shape: [2, 1], range: [0.5, 2] }],
    call: (a) => math.reduceProd(a, { axis: -1, keepdims: true }),
    print: "%1:float[2,1] = reduceProd %0 {axes=[1], keepDims=true}",
  },
  {
    op: "reduceLogsumexp",
    inputs: [x],
    call: (a) => math.reduceLogsumexp(a, { axis: 1 }),
    print: "%1:float[2,2] = reduceLogsumexp %0 {axes=[1], keepDims=false}",
    exact: [
      { inputs: [{ shape: [1, 2, 2], data: [1000, -inf, -1000, -inf] }], output: [1000, -inf] },
      { inputs: [{ shape: [1, 2, 2], data: [inf, NaN, 3, 0] }], output: [inf, NaN] },
    ],
  },
  {
    op: "reduceLogsumexp",
    inputs: [x],
    call: (a) => math.reduceLogsumexp(a, { keepdims: true }),
    print: "%1:float[1,1,1] = reduceLogsumexp %0 {axes=[0,1,2], keepDims=true}",
  },
  {
    op: "reduceLogsumexp",
    inputs: [x],
    call: (a) => math.reduceLogsumexp(a),
    print: "%1:float[1] = reduceLogsumexp %0 {axes=[0,1,2], keepDims=false}",
  },
  {
    op: "reduceVariance",
    inputs: [x],
    call: (a) => math.reduceVariance(a, { axis: [0, 1] }),
    print: `%1:float[1,1,2] = reduceSum %0 {axes=[0,1], keepDims=true}
%2:float[1] = constant {value=6, dtype="float", shape=[1]}
%3:float[1,1,2] = divide %1 %2
%4:float[2,3,2] = subtract %0 %3
%5:float[2,3,2] = multiply %4 %4
%6:float[2] = reduceSum %5 {axes=[0,1], keepDims=false}
%7:float[1] = constant {value=6, dtype="float", shape=[1]}
%8:float[2] = divide %6 %7`,
    exact: [{ inputs: [{ shape: [2, 1, 1], data: [4097, 4099] }], output: [1], gradients: [[-1, 1]] }],
  },
  {
    op: "reduceStd",
    inputs: [{ shape: [2, 3] }],
    call: (a) => math.reduceStd(a, { axis: 1 }),
    print: `%1:float[2,1] = reduceSum %0 {axes=[1], keepDims=true}
%2:float[1] = constant {value=3, dtype="float", shape=[1]}
%3:float[2,1] = divide %1 %2
%4:float[2,3] = subtract %0 %3
%5:float[2,3] = multiply %4 %4
%6:float[2] = reduceSum %5 {axes=[1], keepDims=false}
%7:float[1] = constant {value=3, dtype="float", shape=[1]}
%8:float[2] = divide %6 %7
%9:float[1] = constant {value=0, dtype="float", shape=[1]}
%10:bool[2] = equal %8 %9
%11:float[1] = constant {value=1, dtype="float", shape=[1]}
%12:float[2] = where %10 %11 %8
%13:float[2] = sqrt %12
%14:float[1] = constant {value=0, dtype="float", shape=[1]}
%15:float[2] = where %10 %14 %13`,
    exact: [{ inputs: [{ shape: [2, 2], data: [1, 3, 5, 5] }], output: [1, 0], gradients: [[-0.5, 0.5, 0, 0]] }],
  },
  {
    op: "reduceEuclideanNorm",
    inputs: [{ shape: [2, 3] }],
    call: (a) => math.reduceEuclideanNorm(a, { axis: 0, keepdims: true }),
    print: `%1:float[2,3] = multiply %0 %0
%2:float[1,3] = reduceSum %1 {axes=[0], keepDims=true}
%3:float[1] = constant {value=0, dtype="float", shape=[1]}
%4:bool[1,3] = equal %2 %3
%5:float[1] = constant {value=1, dtype="float", shape=[1]}
%6:float[1,3] = where %4 %5 %2
%7:float[1,3] = sqrt %6
%8:float[1] = constant {value=0, dtype="float", shape=[1]}
%9:float[1,3] = where %4 %8 %7`,
    exact: [{ inputs: [{ shape: [2, 2], data: [0, 0, 8, 0] }], output: [8, 0], gradients: [[0, 0, 1, 0]] }],
  },
  {
    op: "reduceAny",
    inputs: [{ shape: [2, 3], dtype: "int8", range: [0, 1] }],
    call: (a) => math.reduceAny(a, { axis: 1 }),
    print: `%1:int8[1] = constant {value=0, dtype="int8", shape=[1]}
%2:bool[2,3] = notEqual %0 %1
%3:int8[2,3] = cast %2 {dtype="int8"}
%4:int8[2] = reduceMax %3 {axes=[1], keepDims=false}`,
    differentiable: false,
    exact: [{ inputs: [{ shape: [2, 2], data: [0, 0, 0, -2], dtype: "int8" }], output: [0, 1] }],
  },
  {
    op: "reduceAll",
    inputs: [{ shape: [2, 3], dtype: "int8", range: [0, 1] }],
    call: (a) => math.reduceAll(a, { axis: 1 }),
    print: `%1:int8[1] = constant {value=0, dtype="int8", shape=[1]}
%2:bool[2,3] = notEqual %0 %1
%3:int8[2,3] = cast %2 {dtype="int8"}
%4:int8[2] = reduceMin %3 {axes=[1], keepDims=false}`,
    differentiable: false,
    exact: [{ inputs: [{ shape: [2, 2], data: [1, 0, 3, -2], dtype: "int8" }], output: [0, 1] }],
  },
];
