/**
 * Neural network functions without variables: activations, convolution, pooling, normalization, losses.
 * @module
 */

export { Module } from "../job/module.js";
export { type LeakyReluOptions, leakyRelu, relu } from "../ops/activation.js";
export { type Conv2dOptions, type Conv2dTransposeOptions, conv2d, conv2dTranspose } from "../ops/conv.js";
export { tril } from "../ops/indexing.js";
export { biasAdd } from "../ops/linalg.js";
export {
  logSoftmax,
  sigmoidCrossEntropyWithLogits,
  softmax,
  softmaxCrossEntropyWithLogits,
  sparseCrossEntropy,
  sparseSoftmaxCrossEntropyWithLogits,
} from "../ops/loss.js";
export {
  type BatchNormalizationOptions,
  batchNormalization,
  type LayerNormOptions,
  layerNorm,
  moments,
} from "../ops/norm.js";
export { avgPool2d, maxPool2d } from "../ops/pool.js";
export { dropout, randomMaskLike } from "../ops/random.js";
