import * as flow from "onestep";
import { emitAll } from "#src/graph/trace.js";
import { sparseSoftmaxCrossEntropyOp } from "#src/ops/loss.js";
import type { Row } from "./rows.js";

const { nn } = flow;
const labels = { shape: [4], dtype: "int32", range: [0, 2] } as const;

export const rows: readonly Row[] = [
  {
    op: "softmax",
    inputs: [{ shape: [2, 3, 2] }],
    call: (x) => nn.softmax(x, { axis: 1 }),
    print: "%1:float[2,3,2] = softmax %0 {axis=1}",
    exact: [],
  },
  {
    op: "softmax",
    inputs: [{ shape: [2, 3] }],
    call: (x) => nn.softmax(x),
    print: "%1:float[2,3] = softmax %0 {axis=1}",
    exact: [{ inputs: [{ shape: [2, 2], data: [1000, -1000, 5, 5] }], output: [1, 0, 0.5, 0.5] }],
  },
  {
    op: "logSoftmax",
    inputs: [{ shape: [2, 3, 2] }],
    call: (x) => nn.logSoftmax(x, { axis: 1 }),
    print: "%1:float[2,3,2] = logSoftmax %0 {axis=1}",
  },
  {
    op: "logSoftmax",
    inputs: [{ shape: [2, 3] }],
    call: (x) => nn.logSoftmax(x),
    print: "%1:float[2,3] = logSoftmax %0 {axis=1}",
    exact: [{ inputs: [{ shape: [1, 2], data: [1000, -1000] }], output: [0, -2000], gradients: [[-1, 1]] }],
  },
  {
    op: "sparseSoftmaxCrossEntropy",
    inputs: [labels, { shape: [4, 3] }],
    call: (l, x) => nn.sparseSoftmaxCrossEntropyWithLogits(l, x),
    print: "%2:float[4], %3:float[4,3] = sparseSoftmaxCrossEntropy %0 %1",
    exact: [
      {
        inputs: [
          { shape: [3], data: [0, 1, 1], dtype: "int32" },
          { shape: [3, 2], data: [1000, -1000, 1000, -1000, 0, 0] },
        ],
        output: [0, 2000, Math.fround(Math.LN2)],
        gradients: [null, [0, 0, 1, -1, 0.5, -0.5]],
      },
    ],
  },
  {
    op: "sparseSoftmaxCrossEntropy",
    inputs: [{ shape: [2, 4, 1], dtype: "int64", range: [0, 2] }, { shape: [2, 4, 3] }],
    call: (l, x) => nn.sparseSoftmaxCrossEntropyWithLogits(l, x),
    print:
      "%2:int64[2,4] = reshape %0 {shape=[2,4]}\n%3:float[2,4], %4:float[2,4,3] = sparseSoftmaxCrossEntropy %2 %1\n%5:int64[1] = reduceMin %2 {axes=[0,1], keepDims=false}\n%6:int64[1] = reduceMax %2 {axes=[0,1], keepDims=false}",
  },
  {
    // Both outputs used: the gradient of a multi-output op gets both cotangents.
    op: "sparseSoftmaxCrossEntropy",
    inputs: [labels, { shape: [4, 3] }],
    call: (l, x) => {
      const [loss, logProbabilities] = emitAll(sparseSoftmaxCrossEntropyOp, [l, x], {});
      return flow.reshape(loss!, [4, 1]).mul(logProbabilities!);
    },
    print:
      "%2:float[4], %3:float[4,3] = sparseSoftmaxCrossEntropy %0 %1\n%4:float[4,1] = reshape %2 {shape=[4,1]}\n%5:float[4,3] = multiply %4 %3",
  },
];
