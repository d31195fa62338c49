/**
 * Jobs, variables and arrays; the modules hold functions by subject.
 * @module
 * @document ../docs/from-tfjs.md
 * @document ../docs/from-pytorch.md
 * @document ../docs/jobs.md
 * @document ../docs/errors.md
 * @document ../docs/checkpoint-format.md
 * @document ../docs/debugging.md
 */

export * as config from "./api/config.js";
export * as data from "./api/data.js";
export * as deprecated from "./api/deprecated.js";
export * as distribute from "./api/distribute.js";
export * as env from "./api/env.js";
export * as experimental from "./api/experimental.js";
export * as formats from "./api/formats.js";
export * as layers from "./api/layers.js";
export * as linalg from "./api/linalg.js";
export * as losses from "./api/losses.js";
export * as math from "./api/math.js";
export * as nn from "./api/nn.js";
export * as onnx from "./api/onnx.js";
export * as optimizer from "./api/optimizer.js";
export * as placement from "./api/placement.js";
export * as random from "./api/random.js";
export * as regularizers from "./api/regularizers.js";
export * as savedModel from "./api/saved-model.js";
export * as scope from "./api/scope.js";
export * as train from "./api/train.js";
export type * from "./api/types.js";
export * as tp from "./api/typing.js";
export * as typing from "./api/typing.js";
export { type GradientsOptions, gradients } from "./autodiff/gradients.js";
export { convertOneflowDtypeToNumpyDtype, type DType, dtypes } from "./core/dtype.js";
export { type ErrorCode, FlowError } from "./core/errors.js";
export type { Pattern } from "./core/pattern.js";
export { type ArrayLike, NdArray } from "./core/tensor.js";
export { Blob } from "./graph/blob.js";
export { namespace as nameScope } from "./graph/trace.js";
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
export { type Description, describe } from "./job/describe.js";
export { currentMachineId, currentResource } from "./job/env.js";
export { FunctionConfig, functionConfig } from "./job/function-config.js";
export { type CallOptions, globalFunction, type Job, type JobOptions } from "./job/global-function.js";
export { findOrCreateModule } from "./job/module.js";
export type { Argument, OpenShape, Placeholder, PlaceholderOptions } from "./job/placeholder.js";
export type { JobResult } from "./job/result.js";
export {
  currentGlobalFunctionDesc,
  currentScope,
  type Placement,
  placement as fixedPlacement,
  type ScopeValue,
} from "./job/scope.js";
export { clearDefaultSession, syncDefaultSession } from "./job/session.js";
export { eagerExecutionEnabled, enableEagerExecution } from "./job/settings.js";
export { FixedTensorDef, MirroredTensorDef, MirroredTensorListDef } from "./job/tensor-def.js";
export type { Returns } from "./job/typing.js";
export { type WatchHandler, type WatchOptions, watch, watchDiff } from "./job/watch.js";
export {
  clipByValue,
  clipByValue as clamp,
  clipByValue as clip,
  clipByValue as clipByScalar,
} from "./ops/binary.js";
export { cast } from "./ops/elementwise.js";
export { elemCnt } from "./ops/extent.js";
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
export { argsort, type SortDirection, type SortOptions, sort } from "./ops/order.js";
export { type CategoricalOrdinalEncodeOptions, categoricalOrdinalEncode } from "./ops/ordinal.js";
export { concat, type PadOptions, pad, padGrad, reverse, type SliceRange, slice, sliceV2, stack } from "./ops/parts.js";
export { type CustomFunction, type CustomOp, registerOp, type UserOpBuilder, userOpBuilder } from "./ops/register.js";
export { gatherNd, scatterNd, tensorScatterNdAdd, tensorScatterNdUpdate } from "./ops/scatter.js";
export { type ArgwhereOptions, argwhere, nonzero, where } from "./ops/selection.js";
export { constant, constantLike, constantScalar, onesLike, zerosLike } from "./ops/sources.js";
export {
  broadcastLike,
  broadcastTo,
  broadcastToCompatibleWith,
  dynamicReshape,
  expandDims,
  identity,
  identityN,
  reshape,
  reshapeLike,
  squeeze,
  tile,
  transpose,
} from "./ops/structure.js";
export { samePadding } from "./ops/window.js";
export { assign } from "./variables/assign.js";
export { getVariable, type VariableOptions } from "./variables/registry.js";

/** A dtype: 32-bit floating point, another name of `float32`.  @flow float */
export const float = "float32";
/**
 * A dtype: 16-bit floating point for storage. Values are kept and rounded as IEEE 754 halves and are `Float32Array` on the
 * host; ops on them compute in float32 and round their result.  @flow float16
 */
export const float16 = "float16";
/** A dtype: another name of `int8`.  @flow char */
export const char = "int8";
/** A dtype: 32-bit floating point, the default everywhere.  @flow float32 */
export const float32 = "float32";
/** A dtype: 64-bit floating point, another name of `float64`.  @flow double */
export const double = "float64";
/** A dtype: 64-bit floating point.  @flow float64 */
export const float64 = "float64";
/** A dtype: 8-bit integers, the result of comparisons.  @flow int8 */
export const int8 = "int8";
/** A dtype: 8-bit integers without sign.  @flow uint8 */
export const uint8 = "uint8";
/** A dtype: 32-bit integers, for labels and indices.  @flow int32 */
export const int32 = "int32";
/** A dtype: 64-bit integers, `BigInt64Array` on the host.  @flow int64 */
export const int64 = "int64";
