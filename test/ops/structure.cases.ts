import * as flow from "onestep";
import { iota } from "#src/ops/sources.js";
import type { Row } from "./rows.js";

const { math } = flow;
const x = { shape: [2, 3, 2] };

export const rows: readonly Row[] = [
  {
    op: "reshape",
    inputs: [x],
    call: (a) => flow.reshape(a, [4, -1]),
    print: "%1:float[4,3] = reshape %0 {shape=[4,3]}",
  },
  {
    op: "transpose",
    inputs: [x],
    call: (a) => flow.transpose(a, { perm: [2, 0, 1] }),
    print: "%1:float[2,2,3] = transpose %0 {perm=[2,0,1]}",
    exact: [{ inputs: [{ shape: [2, 3], data: [1, 2, 3, 4, 5, 6] }], output: [1, 2, 3, 4, 5, 6] }].slice(1),
  },
  {
    op: "transpose",
    inputs: [{ shape: [2, 3] }],
    call: (a) => flow.transpose(a, { perm: [1, 0] }),
    print: "%1:float[3,2] = transpose %0 {perm=[1,0]}",
    exact: [{ inputs: [{ shape: [2, 3], data: [1, 2, 3, 4, 5, 6] }], output: [1, 4, 2, 5, 3, 6] }],
  },
  {
    op: "broadcastTo",
    inputs: [{ shape: [3, 1] }],
    call: (a) => flow.broadcastTo(a, [2, 3, 2]),
    print: "%1:float[2,3,2] = broadcastTo %0 {shape=[2,3,2]}",
    exact: [
      {
        inputs: [{ shape: [3, 1], data: [1, 2, 3] }],
        output: [1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3],
        gradients: [[4, 4, 4]],
      },
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
    op: "constant",
    inputs: [{ shape: [2] }],
    call: (a) => a.add(flow.constant(2.5, { dtype: a.dtype, shape: [2, 2] })),
    print: '%1:float[2,2] = constant {value=2.5, dtype="float", shape=[2,2]}\n%2:float[2,2] = add %0 %1',
    exact: [{ inputs: [{ shape: [2], data: [1, 2] }], output: [3.5, 4.5, 3.5, 4.5] }],
  },
  {
    op: "iota",
    inputs: [{ shape: [2, 3] }],
    call: (a) => a.mul(iota([2, 3], 1, a.dtype)),
    print: '%1:float[2,3] = iota {shape=[2,3], axis=1, dtype="float"}\n%2:float[2,3] = multiply %0 %1',
    exact: [{ inputs: [{ shape: [2, 3], data: [1, 1, 1, 1, 1, 1] }], output: [0, 1, 2, 0, 1, 2] }],
  },
];
