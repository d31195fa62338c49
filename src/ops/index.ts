import type { Attrs } from "../graph/graph.js";
import * as activation from "./activation.js";
import * as binary from "./binary.js";
import * as conv from "./conv.js";
import { customOps } from "./custom-ops.js";
import type { Op, OpKind } from "./define.js";
import * as elementwise from "./elementwise.js";
import * as indexing from "./indexing.js";
import * as linalg from "./linalg.js";
import * as loss from "./loss.js";
import * as norm from "./norm.js";
import * as parts from "./parts.js";
import * as pipeline from "./pipeline.js";
import * as pool from "./pool.js";
import * as random from "./random.js";
import * as reduce from "./reduce.js";
import * as rows from "./rows.js";
import * as sources from "./sources.js";
import * as special from "./special.js";
import * as structure from "./structure.js";
import * as unary from "./unary.js";
import * as window from "./window.js";

/** Every op by name. A key must equal the op's own name (a test checks it). */
export const ops = {
  abs: elementwise.absOp,
  acos: unary.acosOp,
  acosh: unary.acoshOp,
  add: elementwise.addOp,
  argmax: indexing.argmaxOp,
  asin: unary.asinOp,
  asinh: unary.asinhOp,
  atan: unary.atanOp,
  atan2: binary.atan2Op,
  atanh: unary.atanhOp,
  avgPool: pool.avgPoolOp,
  avgPoolGrad: pool.avgPoolGradOp,
  broadcastTo: structure.broadcastToOp,
  cast: elementwise.castOp,
  ceil: unary.ceilOp,
  concat: parts.concatOp,
  constant: sources.constantOp,
  conv: conv.convOp,
  convFilterGrad: conv.convFilterGradOp,
  convInputGrad: conv.convInputGradOp,
  cos: unary.cosOp,
  cosh: unary.coshOp,
  divide: elementwise.divideOp,
  dropoutMask: random.dropoutMaskOp,
  equal: elementwise.equalOp,
  equalGroups: rows.equalGroupsOp,
  erf: special.erfOp,
  erfc: special.erfcOp,
  exp: unary.expOp,
  expm1: unary.expm1Op,
  floor: unary.floorOp,
  floordiv: binary.floordivOp,
  fold: window.foldOp,
  gather: indexing.gatherOp,
  gelu: activation.geluOp,
  greater: elementwise.greaterOp,
  greaterEqual: elementwise.greaterEqualOp,
  identity: structure.identityOp,
  iota: sources.iotaOp,
  isFinite: elementwise.isFiniteOp,
  later: structure.laterOp,
  leakyRelu: activation.leakyReluOp,
  less: elementwise.lessOp,
  lessEqual: elementwise.lessEqualOp,
  lgamma: special.lgammaOp,
  log: unary.logOp,
  log1p: unary.log1pOp,
  logSoftmax: loss.logSoftmaxOp,
  matmul: linalg.matmulOp,
  maxPool: pool.maxPoolOp,
  maxUnpool: pool.maxUnpoolOp,
  maximum: elementwise.maximumOp,
  minimum: elementwise.minimumOp,
  mod: binary.modOp,
  multiply: elementwise.multiplyOp,
  negative: elementwise.negativeOp,
  notEqual: elementwise.notEqualOp,
  observe: structure.observeOp,
  ofrecordRawDecoder: pipeline.ofrecordRawDecoderOp,
  ofrecordReader: pipeline.ofrecordReaderOp,
  pad: parts.padOp,
  permutation: random.permutationOp,
  pow: binary.powOp,
  randomNumbers: random.randomNumbersOp,
  reduceLogsumexp: reduce.reduceLogsumexpOp,
  reduceMax: reduce.reduceMaxOp,
  reduceMin: reduce.reduceMinOp,
  reduceProd: reduce.reduceProdOp,
  reduceSum: reduce.reduceSumOp,
  relu: activation.reluOp,
  replaceRows: rows.replaceRowsOp,
  reshape: structure.reshapeOp,
  round: unary.roundOp,
  segmentSum: indexing.segmentSumOp,
  sigmoid: activation.sigmoidOp,
  sign: elementwise.signOp,
  sin: unary.sinOp,
  sinh: unary.sinhOp,
  slice: parts.sliceOp,
  softmax: loss.softmaxOp,
  softplus: activation.softplusOp,
  sparseSoftmaxCrossEntropy: loss.sparseSoftmaxCrossEntropyOp,
  sqrt: unary.sqrtOp,
  moments: norm.momentsOp,
  standardize: norm.standardizeOp,
  subtract: elementwise.subtractOp,
  tan: unary.tanOp,
  tanh: unary.tanhOp,
  topK: indexing.topKOp,
  transpose: structure.transposeOp,
  unfold: window.unfoldOp,
  where: elementwise.whereOp,
  xdivy: binary.xdivyOp,
  xlogy: binary.xlogyOp,
} as const;

export type OpName = keyof typeof ops;
/** The attributes of an op by name. */
export type AttrsOf<N extends OpName> = (typeof ops)[N] extends Op<string, infer A, OpKind> ? A : never;
type OfKind<K extends OpKind> = { [N in OpName]: (typeof ops)[N] extends Op<string, infer _A, K> ? N : never }[OpName];
/** Ops that every engine lowers. */
export type PrimitiveName = OfKind<"primitive">;
/** Ops an engine may lower, and may leave to their decomposition. */
export type DecomposableName = OfKind<"decomposable">;

/** The op of a node, or undefined for the graph's inputs. */
export function findOp(name: string): Op<string, Attrs> | undefined {
  return Object.hasOwn(ops, name) ? (ops[name as OpName] as unknown as Op<string, Attrs>) : customOps.get(name);
}
