// The types that public functions mention.
export type { DataOf } from "../core/dtype.js";
export type { Shape } from "../core/shape.js";
export type { NestedArray } from "../core/tensor.js";
export type { MnistPart } from "../data/mnist.js";
export type { BlobType, Operand } from "../graph/blob.js";
export type { Constant, InitializerDType, Normal, Uniform } from "../initializers/initializer.js";
export type { DataFormatOption, VarianceScaling } from "../initializers/variance-scaling.js";
export type {
  BlobArguments,
  BlobsOf,
  Feeds,
  NumpyType,
  PlaceholderOptions,
  ResultOf,
  ValueOf,
} from "../job/typing.js";
export type { ClipOptions } from "../ops/binary.js";
export type { Named } from "../ops/define.js";
export type { Binary, Unary } from "../ops/elementwise.js";
export type { BiasAddOptions, MatmulOptions } from "../ops/linalg.js";
export type { SoftmaxOptions } from "../ops/loss.js";
export type { ConcatOptions } from "../ops/parts.js";
export type { PoolOptions } from "../ops/pool.js";
export type { ConstantOptions, LikeOptions } from "../ops/sources.js";
export type { BroadcastLikeOptions, SqueezeOptions, TransposeOptions } from "../ops/structure.js";
export type { Padding } from "../ops/window.js";
export type { Slot, UpdateContext } from "../optim/optimizer.js";
