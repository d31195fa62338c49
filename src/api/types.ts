// The types that public functions mention.
export type { DataOf } from "../core/dtype.js";
export type { Json } from "../core/json.js";
export type { Shape } from "../core/shape.js";
export type { NestedArray } from "../core/tensor.js";
export type { Collated, TypedArray } from "../data/collate.js";
export type { MnistPart } from "../data/mnist.js";
export type { BlobType, Operand } from "../graph/blob.js";
export type { Attrs } from "../graph/graph.js";
export type { InitializerDType } from "../initializers/initializer.js";
export type { DataFormatOption, VarianceScaling } from "../initializers/variance-scaling.js";
export type { DescribedVariable } from "../job/describe.js";
export type { IndexedSlicesOptimizerConf, TrainConfig } from "../job/function-config.js";
export type { BlobArguments, Feeds } from "../job/global-function.js";
export type { BlobsIn, Feed, FeedOf, Form } from "../job/placeholder.js";
export type { CurrentScope, DeviceTag, FunctionDescription, View } from "../job/scope.js";
export type {
  AllowedResult,
  AllowedReturns,
  BlobsOf,
  BlobTree,
  BundleType,
  CallbackType,
  CallOf,
  FormType,
  InForm,
  LeavesOf,
  PlaceholderMaker,
  ResultOf,
  ValueOf,
  ValueType,
} from "../job/typing.js";
export type { ClipOptions } from "../ops/binary.js";
export type { GradContext, GradRule, Named } from "../ops/define.js";
export type { Binary, Unary } from "../ops/elementwise.js";
export type { ElemCntOptions } from "../ops/extent.js";
export type { BiasAddOptions, MatmulOptions } from "../ops/linalg.js";
export type { SoftmaxOptions } from "../ops/loss.js";
export type { ConcatOptions } from "../ops/parts.js";
export type { PoolOptions } from "../ops/pool.js";
export type { UserOpCall } from "../ops/register.js";
export type { IndexDType } from "../ops/selection.js";
export type { ConstantOptions, LikeOptions } from "../ops/sources.js";
export type { BroadcastLikeOptions, SqueezeOptions, TransposeOptions } from "../ops/structure.js";
export type { Padding, PaddingName } from "../ops/window.js";
export type { EndlessDecay } from "../optim/decay.js";
export type { MomentOptimizer, MomentOptions } from "../optim/moments.js";
export type { MinimizeOptions, Slot, UpdateContext } from "../optim/optimizer.js";
export type { WarmedSchedule } from "../optim/schedule.js";
export type { Minimization } from "../optim/training-values.js";
export type { Expressions, WeightDecay, WeightDecayOptions } from "../optim/weight-decay.js";
