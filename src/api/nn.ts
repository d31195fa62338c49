/**
 * Neural network functions without variables: activations, convolution, pooling, normalization, losses.
 * @module
 */

export { Module } from "../job/module.js";
export { type LeakyReluOptions, leakyRelu, relu } from "../ops/activation.js";
export {
  type Conv2dTransposeOptions,
  type ConvOptions,
  compatConv2d,
  conv1d,
  conv2d,
  conv2dTranspose,
  conv3d,
  type TorchConv2dTransposeOptions,
  torchConv2dTranspose,
} from "../ops/conv.js";
export { tril } from "../ops/indexing.js";
export { biasAdd } from "../ops/linalg.js";
export {
  logSoftmax,
  sigmoidCrossEntropyWithLogits,
  softmax,
  softmaxCrossEntropyWithLogits,
  softmaxGrad,
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
export {
  avgPool1d,
  avgPool2d,
  avgPool3d,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  type PoolOptions,
} from "../ops/pool.js";
export { dropout, randomMaskLike } from "../ops/random.js";
