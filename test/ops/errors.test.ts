import * as flow from "onestep";
import { expect, test } from "vitest";
import { graphOf } from "./harness.js";

const { math, nn } = flow;
const x = { dtype: "float32", shape: [2, 3] } as const;
const ids = { dtype: "int32", shape: [2] } as const;
type Call = (x: flow.Blob, ids: flow.Blob) => flow.Blob;

/** What each wrong call says: where, what was got, what was expected. */
const wrong: readonly (readonly [string, Call, string])[] = [
  ["integers into sin", (_, i) => math.sin(i), "sin: got int32[2], expected a floating dtype; flow.cast it [E_DTYPE]"],
  ["clip without bounds", (a) => math.clip(a), "clipByValue: minValue and maxValue are missing; pass one or both"],
  ["pow of two dtypes", (a, i) => math.pow(a, i), "expected equal dtypes"],
  ["addN of nothing", () => math.addN([]), "addN: inputs is an empty array, expected a list of at least one Blob"],
  [
    "addN of two shapes",
    (a, i) => math.addN([a, flow.cast(i, "float32")]),
    "addN: got float32[2,3] and float32[2], expected equal shapes",
  ],
  [
    "concat of other dimensions",
    (a) => flow.concat([a, flow.reshape(a, [3, 2])], { axis: 1 }),
    "concat: got float32[2,3] and float32[3,2], expected equal dtypes and dimensions but for axis 1",
  ],
  ["concat along no axis", (a) => flow.concat([a, a], { axis: 2 }), "concat: axis 2 is outside [-2, 1]"],
  [
    "slice over the end",
    (a) => flow.slice(a, [0, 2], [1, 2]),
    "slice: begin 2 and size 2 on axis 1 lie outside its 3 elements of float32[2,3]",
  ],
  ["slice of fewer axes", (a) => flow.slice(a, [0], [1]), "expected one for each of the 2 axes"],
  ["a slice of nothing", (a) => flow.sliceV2(a, [[1, 1, 1]]), "sliceV2: range [1,1,1] of axis 0: it holds no element"],
  ["a step of 0", (a) => flow.sliceV2(a, [[0, 1, 0]]), "the step must be an integer other than 0"],
  ["start outside", (a) => flow.sliceV2(a, [[2, null, 1]]), "start must lie in [-2, 1]"],
  ["pad of one axis", (a) => flow.pad(a, [[1, 1]]), "expected [before, after] of at least 0 for each axis"],
  [
    "pad by less than nothing",
    (a) =>
      flow.pad(a, [
        [0, 0],
        [-1, 0],
      ]),
    "pad: paddings are [[0,0],[-1,0]]",
  ],
  ["squeeze of a wide axis", (a) => flow.squeeze(a, { axis: [1] }), "squeeze: dimension 1 of float32[2,3] is not 1"],
  ["tile of fewer axes", (a) => flow.tile(a, [2]), "tile: reps is [2], expected a positive integer for each axis"],
  [
    "broadcastLike of another shape",
    (a) => flow.broadcastLike(flow.reshape(a, [6]), a, { broadcastAxes: [0] }),
    "broadcastLike: x is float32[6], expected [3] or [1,3]",
  ],
  ["gather by floats", (a) => flow.gather(a, a), "gather: indices are float32[2,3], expected int32 or int64"],
  [
    "gather along another axis than the batch",
    (a, i) => flow.gather(a, i, { axis: 0, batchDims: 1 }),
    "gather: axis is 0 and batchDims is 1, expected equal ones or batchDims 0",
  ],
  ["oneHot of no depth", (_, i) => flow.oneHot(i, 0), "oneHot: depth is 0, expected a positive integer"],
  ["topK of none", (a) => math.topK(a, { k: 0 }), "topK: k is 0, expected a positive integer"],
  ["tril of a vector", (_, i) => math.tril(i), "tril: x is int32[2], expected a rank of at least 2"],
  [
    "segment ids of another shape",
    (a, i) => math.unsortedSegmentSum(a, i, 2, { axis: 1 }),
    "unsortedSegmentSum: segmentIds are int32[2], expected the dimensions of float32[2,3] from axis 1 on",
  ],
  ["moments of one number", (a) => nn.moments(a, 0 as never)[0], "moments: axes is the number 0, expected a list"],
  [
    "statistics of another size",
    (a, i) => nn.batchNormalization(a, flow.cast(i, "float32"), flow.cast(i, "float32")),
    "batchNormalization: variance is float32[2], expected [3], the size of axis 1 of float32[2,3]",
  ],
  [
    "gamma of another shape",
    (a, i) => nn.layerNorm(a, { gamma: flow.cast(i, "float32") }),
    "layerNorm: gamma is float32[2], expected [3]",
  ],
  ["l2Normalize without an axis", (a) => math.l2Normalize(a), "l2Normalize: axis is missing; pass { axis: -1 }"],
  [
    "labels of another dtype",
    (a, i) => nn.softmaxCrossEntropyWithLogits(i, a),
    "softmaxCrossEntropyWithLogits: labels are int32[2], expected the type of the logits, float32[2,3]",
  ],
  ["sparse labels as floats", (a) => nn.sparseCrossEntropy(a, a), "sparseCrossEntropy: labels are float32[2,3]"],
  [
    "sigmoid labels of another shape",
    (a, i) => nn.sigmoidCrossEntropyWithLogits(i, a),
    "labels are int32[2], expected the shape of the logits, float32[2,3]",
  ],
  ["a beta below 0", (a) => flow.smoothL1Loss(a, a, { beta: -1 }), "smoothL1Loss: beta is -1"],
  ["an axis twice", (a) => math.reduceProd(a, { axis: [0, -2] }), "reduceProd: axis [0, -2] names one axis twice"],
  [
    "images into conv1d",
    (a) => nn.conv1d(flow.reshape(a, [1, 1, 2, 3]), a, 1, "SAME"),
    "nn.conv1d: input is float32[1,1,2,3], expected rank 3; flow.reshape it [E_SHAPE]",
  ],
  [
    "conv1d in another layout",
    (a) => nn.conv1d(flow.reshape(a, [1, 2, 3]), flow.reshape(a, [1, 2, 3]), 1, "SAME", { dataFormat: "NCHW" }),
    "nn.conv1d: dataFormat is 'NCHW', expected 'NCW' or 'NWC' [E_ARGUMENT]",
  ],
  [
    "groups with channels last",
    (a) =>
      nn.conv1d(flow.reshape(a, [1, 3, 2]), flow.reshape(a, [2, 3, 1]), 1, "SAME", { dataFormat: "NWC", groups: 2 }),
    "nn.conv1d: groups is 2, expected 1 with dataFormat NWC [E_ARGUMENT]",
  ],
  [
    "padding for two axes in conv3d",
    (a) => {
      const x = flow.reshape(a, [1, 1, 1, 2, 3]);
      return nn.conv3d(x, x, 1, [0, 0, 1, 1]);
    },
    "nn.conv3d: padding is [0,0,1,1], expected 'SAME', 'SAME_LOWER', 'SAME_UPPER', 'VALID' or 5 entries",
  ],
  [
    "filters of other channels",
    (a) => nn.conv1d(flow.reshape(a, [1, 2, 3]), flow.reshape(a, [2, 3, 1]), 1, "SAME"),
    "nn.conv1d: filters are float32[2,3,1] (NCW), expected 2 channels each for input float32[1,2,3] in 1 group",
  ],
  [
    "a window of no cells",
    (a) => nn.maxPool3d(flow.reshape(a, [1, 1, 1, 2, 3]), 0, 1, "SAME"),
    "nn.maxPool3d: ksize is 0, expected a positive integer or 3 of them [E_ARGUMENT]",
  ],
  [
    "a window larger than the input",
    (a) => nn.avgPool1d(flow.reshape(a, [1, 2, 3]), 4, 1, "VALID"),
    "nn.avgPool1d: a window of [4] (dilation [1], padding [0,0]) does not fit into float32[1,2,3] [E_SHAPE]",
  ],
  [
    "as much outputPadding as stride",
    (a) => {
      const x = flow.reshape(a, [1, 1, 2, 3]);
      return nn.torchConv2dTranspose(x, x, { strides: 2, outputPadding: [1, 2] });
    },
    "nn.torchConv2dTranspose: outputPadding is [1,2], expected less than the strides [2,2] [E_ARGUMENT]",
  ],
  [
    "odd paddingNeeded",
    (a) => {
      const x = flow.reshape(a, [1, 1, 2, 3]);
      return nn.torchConv2dTranspose(x, x, { paddingNeeded: 1 });
    },
    "nn.torchConv2dTranspose: paddingNeeded is [1,1], expected even numbers",
  ],
  [
    "a transposed filter of other channels",
    (a) => nn.torchConv2dTranspose(flow.reshape(a, [1, 2, 1, 3]), flow.reshape(a, [3, 2, 1, 1])),
    "value is float32[1,2,1,3], filter is float32[3,2,1,1] (NCHW), expected a filter whose first dimension is 2",
  ],
  [
    "another interpolation",
    (a) => flow.layers.upsample2d(flow.reshape(a, [1, 1, 2, 3]), { interpolation: "cubic" }),
    "layers.upsample2d: interpolation is 'cubic', expected 'nearest' or 'bilinear' [E_ARGUMENT]",
  ],
  [
    "a broken size",
    (a) => flow.layers.upsample2d(flow.reshape(a, [1, 1, 2, 3]), { size: 1.5 }),
    "layers.upsample2d: size is 1.5, expected a positive integer or 2 of them [E_ARGUMENT]",
  ],
  [
    "a shared axis that is the batch",
    (a) => flow.layers.prelu(a, { sharedAxes: [0] }),
    "expected a list of axes of float32[2,3] from 1 to 1 [E_ARGUMENT]",
  ],
  [
    "padGrad of all",
    (a) =>
      flow.padGrad(a, [
        [1, 1],
        [0, 0],
      ]),
    "padGrad: paddings [[1,1],[0,0]] leave nothing of float32[2,3]",
  ],
  [
    "a gradient of another shape",
    (a, i) => math.tanhGrad(a, flow.cast(i, "float32")),
    "tanhGrad: y is float32[2,3], dy is float32[2], expected equal types [E_SHAPE]",
  ],
  ["softmaxGrad along axis 0", (a) => nn.softmaxGrad(a, a, { axis: 0 }), "softmaxGrad: got axis 0 of float32[2,3]"],
  ["integers into geluGrad", (_, i) => math.geluGrad(i, i), "geluGrad: got int32[2], expected a floating dtype"],
  [
    "a mean for each element",
    (a) => flow.layers.layerNormGrad(a, a, a, a),
    "layers.layerNormGrad: mean is float32[2,3], expected float32[2], one for each row of float32[2,3] from axis 1 on",
  ],
  [
    "gamma for the rows",
    (a, i) => flow.layers.layerNormParamGrad(a, a, flow.cast(i, "float32"))[0],
    "layers.layerNormParamGrad: gamma is float32[2], expected float32[3]",
  ],
];

test.each(wrong)("%s", (_, call, message) => {
  expect(() => graphOf("wrong", [x, ids], (a, i) => [call(a!, i!)])).toThrow(message);
});
