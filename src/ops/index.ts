import type { Attrs } from "../graph/graph.js";
import * as conv from "./conv.js";
import type { Op, OpKind } from "./define.js";
import * as elementwise from "./elementwise.js";
import * as linalg from "./linalg.js";
import * as loss from "./loss.js";
import * as pool from "./pool.js";
import * as random from "./random.js";
import * as sources from "./sources.js";
import * as structure from "./structure.js";
import * as window from "./window.js";

/** Every op by name. A key must equal the op's own name (a test checks it). */
export const ops = {
  abs: elementwise.absOp,
  add: elementwise.addOp,
  argmax: structure.argmaxOp,
  avgPool: pool.avgPoolOp,
  broadcastTo: structure.broadcastToOp,
  cast: elementwise.castOp,
  constant: sources.constantOp,
  conv: conv.convOp,
  convFilterGrad: conv.convFilterGradOp,
  convInputGrad: conv.convInputGradOp,
  divide: elementwise.divideOp,
  dropoutMask: random.dropoutMaskOp,
  equal: elementwise.equalOp,
  exp: elementwise.expOp,
  fold: window.foldOp,
  greater: elementwise.greaterOp,
  greaterEqual: elementwise.greaterEqualOp,
  iota: sources.iotaOp,
  less: elementwise.lessOp,
  lessEqual: elementwise.lessEqualOp,
  log: elementwise.logOp,
  logSoftmax: loss.logSoftmaxOp,
  matmul: linalg.matmulOp,
  maxPool: pool.maxPoolOp,
  maxUnpool: pool.maxUnpoolOp,
  maximum: elementwise.maximumOp,
  minimum: elementwise.minimumOp,
  multiply: elementwise.multiplyOp,
  negative: elementwise.negativeOp,
  notEqual: elementwise.notEqualOp,
  reduceMax: structure.reduceMaxOp,
  reduceMin: structure.reduceMinOp,
  reduceSum: structure.reduceSumOp,
  relu: elementwise.reluOp,
  reshape: structure.reshapeOp,
  sign: elementwise.signOp,
  softmax: loss.softmaxOp,
  sparseSoftmaxCrossEntropy: loss.sparseSoftmaxCrossEntropyOp,
  sqrt: elementwise.sqrtOp,
  subtract: elementwise.subtractOp,
  tanh: elementwise.tanhOp,
  transpose: structure.transposeOp,
  unfold: window.unfoldOp,
  where: elementwise.whereOp,
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
  return Object.hasOwn(ops, name) ? (ops[name as OpName] as unknown as Op<string, Attrs>) : undefined;
}
