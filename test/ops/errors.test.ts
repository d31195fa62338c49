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
  [
    "a slice of nothing",
    (a) => flow.sliceV2(a, [[1, 1, 1]]),
    "sliceV2: range [1, 1, 1] of axis 0: it holds no element",
  ],
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
    "gather: axis 0 with batchDims 1: they must be equal",
  ],
  ["oneHot of no depth", (_, i) => flow.oneHot(i, 0), "oneHot: depth is 0, expected a positive integer"],
  ["topK of none", (a) => math.topK(a, { k: 0 }), "topK: k is 0, expected a positive integer"],
  ["tril of a vector", (_, i) => math.tril(i), "tril: got int32[2], expected a rank of at least 2"],
  [
    "segment ids of another shape",
    (a, i) => math.unsortedSegmentSum(a, i, 2, { axis: 1 }),
    "unsortedSegmentSum: segmentIds are int32[2], expected the dimensions of float32[2,3] from axis 1 on",
  ],
  ["moments of one number", (a) => nn.moments(a, 0 as never)[0], "moments: axes is number, expected a list"],
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
];

test.each(wrong)("%s", (_, call, message) => {
  expect(() => graphOf("wrong", [x, ids], (a, i) => [call(a!, i!)])).toThrow(message);
});
