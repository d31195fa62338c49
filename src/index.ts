export * as config from "./api/config.js";
export * as data from "./api/data.js";
export * as formats from "./api/formats.js";
export * as layers from "./api/layers.js";
export * as linalg from "./api/linalg.js";
export * as math from "./api/math.js";
export * as nn from "./api/nn.js";
export * as onnx from "./api/onnx.js";
export * as optimizer from "./api/optimizer.js";
export * as regularizers from "./api/regularizers.js";
export * as scope from "./api/scope.js";
export * as train from "./api/train.js";
export type { DType } from "./core/dtype.js";
export { type ErrorCode, FlowError } from "./core/errors.js";
export { type ArrayLike, NdArray } from "./core/tensor.js";
export { Blob } from "./graph/blob.js";
export {
  constantInitializer,
  type Initializer,
  onesInitializer,
  randomNormalInitializer,
  randomUniformInitializer,
  truncatedNormal,
  truncatedNormalInitializer,
  zerosInitializer,
} from "./initializers/initializer.js";
export {
  glorotNormalInitializer,
  glorotNormalInitializer as xavierNormalInitializer,
  glorotUniformInitializer,
  glorotUniformInitializer as xavierUniformInitializer,
  type KaimingOptions,
  kaimingInitializer,
  type VarianceScalingOptions,
  varianceScalingInitializer,
} from "./initializers/variance-scaling.js";
export { globalFunction, type Job, type JobOptions } from "./job/global-function.js";
export type { JobResult } from "./job/result.js";
export { clearDefaultSession, syncDefaultSession } from "./job/session.js";
export { type Placeholder, type Returns, tp } from "./job/typing.js";
export {
  clipByValue,
  clipByValue as clamp,
  clipByValue as clip,
  clipByValue as clipByScalar,
} from "./ops/binary.js";
export { cast, where } from "./ops/elementwise.js";
export {
  type GatherOptions,
  gather,
  maskedFill,
  type OneHotOptions,
  oneHot,
  unsortedBatchSegmentSum,
  unsortedSegmentSum,
  unsortedSegmentSumLike,
} from "./ops/indexing.js";
export { matmul } from "./ops/linalg.js";
export { type SmoothL1Options, smoothL1Loss } from "./ops/loss.js";
export { concat, type PadOptions, pad, reverse, type SliceRange, slice, sliceV2, stack } from "./ops/parts.js";
export { constant, constantLike, constantScalar, onesLike, zerosLike } from "./ops/sources.js";
export {
  broadcastLike,
  broadcastTo,
  expandDims,
  identity,
  reshape,
  squeeze,
  tile,
  transpose,
} from "./ops/structure.js";
export { getVariable, type VariableOptions } from "./variables/registry.js";

/** The documented dtypes: `float` is `float32`, `double` is `float64`. */
export const float = "float32";
export const float32 = "float32";
export const double = "float64";
export const float64 = "float64";
export const int8 = "int8";
export const uint8 = "uint8";
export const int32 = "int32";
export const int64 = "int64";
