/**
 * Elementwise functions, comparisons, reductions and sums by index.
 * @module
 */

export { gelu, geluGrad, logSigmoid, relu, sigmoid, sigmoid as sigmoidV2, softplus } from "../ops/activation.js";
export {
  addN,
  atan2,
  clipByValue,
  clipByValue as clip,
  clipByValue as clipByScalar,
  clipByValue as clamp,
  floordiv,
  mod,
  pow,
  squaredDifference,
  xdivy,
  xlogy,
} from "../ops/binary.js";
export {
  abs,
  add,
  divide,
  equal,
  greater,
  greaterEqual,
  isFinite,
  less,
  lessEqual,
  logicalAnd,
  maximum,
  minimum,
  multiply,
  negative,
  notEqual,
  sign,
  square,
  subtract,
} from "../ops/elementwise.js";
export { type ReducedShapeElemCntOptions, reducedShapeElemCnt } from "../ops/extent.js";
export {
  argmax,
  type SegmentOptions,
  type TopKOptions,
  type TrilOptions,
  topK,
  tril,
  unsortedBatchSegmentSum,
  unsortedSegmentSum,
  unsortedSegmentSumLike,
} from "../ops/indexing.js";
export { type L2NormalizeOptions, l2Normalize } from "../ops/norm.js";
export {
  type ReduceOptions,
  reduceAll,
  reduceAny,
  reduceEuclideanNorm,
  reduceLogsumexp,
  reduceMax,
  reduceMean,
  reduceMin,
  reduceProd,
  reduceStd,
  reduceSum,
  reduceVariance,
} from "../ops/reduce.js";
export { erf, erfc, lgamma } from "../ops/special.js";
export { broadcastToCompatibleWith } from "../ops/structure.js";
export {
  acos,
  acosh,
  asin,
  asinh,
  atan,
  atanh,
  ceil,
  cos,
  cosh,
  exp,
  expm1,
  floor,
  log,
  log1p,
  reciprocal,
  reciprocalNoNan,
  round,
  round as rint,
  rsqrt,
  sin,
  sinh,
  sqrt,
  tan,
  tanh,
  tanh as tanhV2,
  tanhGrad,
} from "../ops/unary.js";
