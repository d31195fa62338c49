import * as flow from "onestep";
import { backpropagate } from "#src/autodiff/backpropagate.js";
import { emitAll } from "#src/graph/trace.js";
import { standardizeOp } from "#src/ops/norm.js";
import type { Row } from "./rows.js";

const { layers, nn, math } = flow;
const inf = Infinity;
const image = { shape: [2, 3, 2, 2] };

export const rows: readonly Row[] = [
  {
    op: "moments",
    inputs: [image],
    call: (x) => {
      const [mean, variance] = nn.moments(x, [0, 2, 3]);
      return mean.add(variance);
    },
    exact: [
      {
        inputs: [{ shape: [2, 1, 1, 2], data: [4096, 4098, 4100, 4102] }],
        output: [4104],
        gradients: [[-1.25, -0.25, 0.75, 1.75]],
      },
    ],
  },
  {
    op: "moments",
    inputs: [{ shape: [4, 1] }],
    call: (x) => nn.moments(x, [0], { keepdims: true })[1],
  },
  {
    op: "moments",
    inputs: [image],
    call: (x) => nn.moments(x, [-1])[0],
  },
  {
    op: "batchNormalization",
    inputs: [image, { shape: [3] }, { shape: [3], range: [0.5, 2] }, { shape: [3] }, { shape: [3] }],
    call: (x, mean, variance, offset, scale) => nn.batchNormalization(x, mean!, variance!, { offset, scale }),
  },
  {
    op: "batchNormalization",
    inputs: [{ shape: [5, 3] }],
    call: (x) => nn.batchNormalization(x, ...nn.moments(x, [0]), { axis: -1, varianceEpsilon: 0.25 }),
    exact: [{ inputs: [{ shape: [2, 1], data: [7, 7] }], output: [0, 0], gradients: [[0, 0]] }],
  },
  {
    op: "batchNormalization",
    inputs: [{ shape: [1, 2, 1, 3] }, { shape: [1, 1, 1, 3] }, { shape: [1, 1, 1, 3], range: [0.5, 2] }],
    call: (x, mean, variance) => nn.batchNormalization(x, mean!, variance!, { axis: 3 }),
  },
  // Sizes at which the onnx engine takes other kernels.
  ...[
    [1, 2, 24, 24],
    [1, 2, 33, 32],
    [2, 2, 600],
  ].map(
    (shape): Row => ({
      op: "batchNormalization",
      inputs: [{ shape }, { shape: [2] }, { shape: [2] }, { shape }],
      call: (x, scale, offset, addend) => {
        const axes = shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
        const normal = nn.batchNormalization(x, ...nn.moments(x, axes), { scale, offset });
        return math.tanh(normal).mul(normal.add(addend!));
      },
    }),
  ),
  {
    op: "layerNorm",
    inputs: [{ shape: [2, 3, 4] }, { shape: [4] }, { shape: [4] }],
    call: (x, gamma, beta) => nn.layerNorm(x, { gamma, beta, beginNormAxis: 2 }),
  },
  {
    op: "layerNorm",
    inputs: [{ shape: [2, 3, 4] }, { shape: [3, 4] }],
    call: (x, gamma) => nn.layerNorm(x, { gamma, beginParamsAxis: 1, epsilon: 0.1 }),
  },
  { op: "layerNorm", inputs: [{ shape: [3, 5] }], call: (x) => nn.layerNorm(x, { epsilon: 0.5 }) },
  {
    op: "standardize",
    inputs: [{ shape: [2, 3, 4] }],
    call: (x) => {
      const [normal, inverse] = emitAll(standardizeOp, [x], { begin: 1, epsilon: 0.1 });
      return math.add(normal!, math.square(inverse!));
    },
  },
  {
    op: "standardize",
    inputs: [{ shape: [2, 3, 4] }],
    call: (x) => emitAll(standardizeOp, [x], { begin: 2, epsilon: 0.1 })[1]!,
  },
  {
    op: "l2Normalize",
    inputs: [{ shape: [3, 4] }],
    call: (x) => math.l2Normalize(x, { axis: 1 }),
    exact: [{ inputs: [{ shape: [1, 2], data: [0, 0] }], output: [0, 0] }],
  },
  {
    op: "softmaxCrossEntropyWithLogits",
    inputs: [{ shape: [3, 4], range: [0, 1] }, { shape: [3, 4] }],
    call: (labels, logits) => nn.softmaxCrossEntropyWithLogits(labels!, logits!),
    exact: [
      {
        inputs: [
          { shape: [2, 2], data: [1, 0, 0, 1] },
          { shape: [2, 2], data: [1000, -1000, 1000, -1000] },
        ],
        output: [0, 2000],
      },
    ],
  },
  {
    op: "sparseCrossEntropy",
    inputs: [
      { shape: [3], dtype: "int32", range: [0, 3] },
      { shape: [3, 4], range: [0.1, 0.9] },
    ],
    call: (labels, prediction) => nn.sparseCrossEntropy(labels!, prediction!),
    exact: [
      {
        inputs: [
          { shape: [2, 1], data: [1, 0], dtype: "int64" },
          { shape: [2, 2], data: [0, 1, 1, 0] },
        ],
        output: [0, 0],
        gradients: [null, [0, -1, -1, 0]],
      },
    ],
  },
  {
    op: "sigmoidCrossEntropyWithLogits",
    inputs: [{ shape: [3, 4], dtype: "int8", range: [0, 1] }, { shape: [3, 4] }],
    call: (labels, logits) => nn.sigmoidCrossEntropyWithLogits(labels!, logits!),
    exact: [
      {
        inputs: [
          { shape: [4], data: [1, 0, 1, 0], dtype: "int32" },
          { shape: [4], data: [1000, 1000, -1000, -1000] },
        ],
        output: [0, 1000, 1000, 0],
        gradients: [null, [0, 1, -1, 0]],
      },
    ],
  },
  {
    op: "smoothL1Loss",
    inputs: [{ shape: [3, 4] }, { shape: [3, 4] }],
    call: (prediction, label) => flow.smoothL1Loss(prediction!, label!, { beta: 0.5 }),
    exact: [
      {
        inputs: [
          { shape: [5], data: [0, 0.25, 0.5, 2, -inf] },
          { shape: [5], data: [0, 0, 0, 0, 0] },
        ],
        output: [0, 0.0625, 0.25, 1.75, inf],
      },
      {
        inputs: [
          { shape: [4], data: [0, 0.25, 2, -2] },
          { shape: [4], data: [0, 0, 0, 0] },
        ],
        gradients: [
          [0, 0.5, 1, -1],
          [0, -0.5, -1, 1],
        ],
      },
    ],
  },
  {
    op: "smoothL1Loss",
    inputs: [{ shape: [3, 4] }, { shape: [3, 4] }],
    call: (prediction, label) => flow.smoothL1Loss(prediction!, label!, { beta: 0 }),
  },
  // The gradient of a gradient: what max pooling and the indexed sums give back has a slope of its own.
  {
    op: "maxPoolTwice",
    inputs: [{ shape: [1, 2, 4, 4] }],
    call: (x) =>
      backpropagate([nn.maxPool2d(x!, 3, 2, "SAME")], [x!], [nn.avgPool2d(math.square(x!), 2, 2, "VALID")])[0]!,
  },
  {
    op: "layerNormGrad",
    inputs: [{ shape: [2, 3, 4] }, { shape: [2, 3, 4] }, { shape: [2, 3] }, { shape: [2, 3], range: [0.5, 2] }],
    call: (dy, x, mean, invVariance) => layers.layerNormGrad(dy, x, mean, invVariance, { beginNormAxis: 2 }),
  },
  {
    op: "layerNormGrad",
    inputs: [{ shape: [2, 4] }, { shape: [2, 4] }, { shape: [2, 1] }, { shape: [2, 1], range: [0.5, 2] }],
    call: (dy, x, mean, invVariance) => layers.layerNormGrad(dy, x, mean, invVariance),
  },
  {
    op: "layerNormParamGrad",
    inputs: [{ shape: [2, 3, 4] }, { shape: [2, 3, 4] }, { shape: [3, 4] }],
    call: (dy, norm, gamma) => {
      const [normalized, beta, ofGamma] = layers.layerNormParamGrad(dy, norm, gamma, { beginParamsAxis: 1 });
      return normalized.add(beta).add(ofGamma);
    },
  },
  {
    op: "softmaxGrad",
    inputs: [{ shape: [2, 3, 2] }, { shape: [2, 3, 2] }],
    call: (y, dy) => nn.softmaxGrad(y, dy, { axis: 1 }),
    exact: [
      {
        inputs: [
          { shape: [1, 2, 1], data: [0.5, 0.5] },
          { shape: [1, 2, 1], data: [1, 3] },
        ],
        output: [-0.5, 0.5],
      },
    ],
  },
];
