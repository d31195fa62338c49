import { checkOptions, FlowError, plainText } from "../core/errors.js";
import { sameShape } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { emit, emitAll, textOf } from "../graph/trace.js";
import { softplus } from "./activation.js";
import {
  broadcastType,
  decomposable,
  type Named,
  named,
  nameOf,
  normalizeAxis,
  op,
  requireAlike,
  requireBlob,
  requireFloat,
} from "./define.js";
import {
  abs,
  add,
  cast,
  where as choose,
  equalOp,
  holds,
  lessOp,
  maximum,
  multiply,
  negative,
  square,
  subtract,
} from "./elementwise.js";
import { checkIndices } from "./indexing.js";
import { reduceSum } from "./reduce.js";
import { iota } from "./sources.js";
import { identity, reshape } from "./structure.js";
import { exp, log } from "./unary.js";

/** Options of `softmax` and `logSoftmax`. */
export interface SoftmaxOptions extends Named {
  /** Default the last axis; axis 0 is refused, as documented. */
  readonly axis?: number;
}
type AxisAttrs = { readonly axis: number };

function softmaxAxis(where: string, x: Blob, axis: number): number {
  requireFloat(where, x, "logits");
  const at = normalizeAxis(where, x.shape.length, axis);
  if (x.shape.length < 2 || at === 0)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: got axis ${axis} of ${textOf(x)}, expected a rank of at least 2 and an axis other than 0`,
    );
  return at;
}

/**
 * `exp(x - max) / sum(exp(x - max))` along `axis`.
 * @flow nn.softmax
 * @example
 * ```ts job
 * // x = [[0, 0], [0, 1]]
 * flow.nn.softmax(x); // -> [[0.5, 0.5], [0.26894, 0.73106]]
 * ```
 */
export function softmax(logits: Blob, options: SoftmaxOptions = {}): Blob {
  const { axis = -1, name } = checkOptions("softmax", options, ["axis", "name"]);
  return emit(softmaxOp, [logits], { axis: softmaxAxis("softmax", logits, axis) }, name);
}
export const softmaxOp = op("softmax", {
  infer: ([x]: readonly Blob[], _: AxisAttrs): BlobType => x!,
  grad: ({ y, dy, attrs }) => [softmaxGrad(y, dy, attrs)],
});

/**
 * The gradient of `softmax`: `y (dy - sum(dy y))` along `axis`, y being what softmax gave.
 * @flow nn.softmax_grad
 * @example
 * ```ts job
 * // y = [[0.5, 0.5]]
 * // dy = [[1, 3]]
 * flow.nn.softmaxGrad(y, dy); // -> [[-0.5, 0.5]]
 * ```
 */
export function softmaxGrad(y: Blob, dy: Blob, options: SoftmaxOptions = {}): Blob {
  const { axis = -1, name } = checkOptions("softmaxGrad", options, ["axis", "name"]);
  requireAlike("softmaxGrad", { y, dy });
  const at = softmaxAxis("softmaxGrad", y, axis);
  const centered = subtract(dy, reduceSum(multiply(dy, y), { axis: at, keepdims: true }));
  return multiply(y, centered, name === undefined ? {} : { name });
}

/** `x - max - log(sum(exp(x - max)))` along `axis`: the logarithm of softmax without its underflow. */
export function logSoftmax(logits: Blob, options: SoftmaxOptions = {}): Blob {
  const { axis = -1, name } = checkOptions("logSoftmax", options, ["axis", "name"]);
  return emit(logSoftmaxOp, [logits], { axis: softmaxAxis("logSoftmax", logits, axis) }, name);
}
export const logSoftmaxOp = op("logSoftmax", {
  infer: ([x]: readonly Blob[], _: AxisAttrs): BlobType => x!,
  // dx = dy - softmax(x) sum(dy)
  grad: ({ y, dy, attrs: { axis } }) => [subtract(dy, multiply(exp(y), reduceSum(dy, { axis, keepdims: true })))],
});

/**
 * `-log(softmax(logits)[label])` for each row of the last axis, unreduced: shape `logits.shape[:-1]`. Labels are int32
 * or int64 of that shape (or with a trailing 1). Computed by log-sum-exp, without v0.2's clamp of the probability at
 * 1e-20. A label outside [0, depth) fails the step with E_LABEL and nothing is updated.
 * @flow nn.sparse_softmax_cross_entropy_with_logits
 * @example
 * ```ts job
 * // labels: int32 = [0, 1]
 * // logits = [[0, 0], [0, 1]]
 * flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits); // -> [0.69315, 0.31326]
 * ```
 */
export function sparseSoftmaxCrossEntropyWithLogits(labels: Blob, logits: Blob, options?: Named): Blob {
  const where = "sparseSoftmaxCrossEntropyWithLogits";
  const name = nameOf(where, options);
  requireBlob(where, "labels", labels);
  requireBlob(where, "logits", logits);
  const depth = logits.shape.at(-1)!;
  const rows = logits.shape.length > 1 ? logits.shape.slice(0, -1) : [1];
  const flat = sameShape(labels.shape, [...rows, 1]) ? reshape(labels, rows) : labels;
  const [loss] = emitAll(sparseSoftmaxCrossEntropyOp, [flat, logits], {}, name);
  const what = `${where}${loss!.node.name === undefined ? "" : ` '${loss!.node.name}'`}: label`;
  checkIndices(what, flat, depth, "E_LABEL");
  return loss!;
}

/** Outputs: the loss per row, and the log-probabilities, from which the gradient is made. */
export const sparseSoftmaxCrossEntropyOp = decomposable("sparseSoftmaxCrossEntropy", {
  infer: ([labels, logits]): readonly BlobType[] => {
    const where = "sparseSoftmaxCrossEntropyWithLogits";
    requireFloat(where, logits!);
    if (labels!.dtype !== "int32" && labels!.dtype !== "int64")
      throw new FlowError("E_DTYPE", `${where}: labels are ${textOf(labels!)}, expected int32 or int64`);
    if (logits!.shape.length < 2)
      throw new FlowError("E_SHAPE", `${where}: logits are ${textOf(logits!)}, expected a rank of at least 2`);
    const rows = logits!.shape.slice(0, -1);
    if (!sameShape(labels!.shape, rows))
      throw new FlowError(
        "E_SHAPE",
        `${where}: labels are ${textOf(labels!)}, expected [${rows.join(",")}] for logits ${textOf(logits!)}`,
      );
    return [{ dtype: logits!.dtype, shape: rows }, logits!];
  },
  decompose: ([labels, logits]) => {
    const logProbabilities = logSoftmax(logits!);
    return [
      negative(reduceSum(multiply(logProbabilities, oneHotLike(labels!, logits!)), { axis: -1 })),
      logProbabilities,
    ];
  },
  // Loss: p - onehot(label). Log-probabilities: as logSoftmax.
  grad: ({ inputs: [labels, logits], outputs: [, logProbabilities], dys: [loss, second] }) => {
    const p = exp(logProbabilities!);
    const parts: Blob[] = [];
    if (loss) parts.push(multiply(subtract(p, oneHotLike(labels!, logits!)), reshape(loss, [...loss.shape, 1])));
    if (second) parts.push(subtract(second, multiply(p, reduceSum(second, { axis: -1, keepdims: true }))));
    return [null, parts.length === 2 ? add(parts[0]!, parts[1]!) : parts[0]!];
  },
});

/**
 * `-sum(labels · log(softmax(logits)))` over the last axis, unreduced: shape `logits.shape[:-1]`. Labels are
 * probabilities of the shape and dtype of the logits. Computed by log-sum-exp, without v0.2's clamp.
 * @flow nn.softmax_cross_entropy_with_logits
 * @example
 * ```ts job
 * // labels = [[0.5, 0.5]]
 * // logits = [[0, 1]]
 * flow.nn.softmaxCrossEntropyWithLogits(labels, logits); // -> [0.81326]
 * ```
 */
export function softmaxCrossEntropyWithLogits(labels: Blob, logits: Blob, options?: Named): Blob {
  const where = "softmaxCrossEntropyWithLogits";
  requireBlob(where, "labels", labels);
  requireBlob(where, "logits", logits);
  if (labels.dtype !== logits.dtype || !sameShape(labels.shape, logits.shape))
    throw new FlowError(
      labels.dtype === logits.dtype ? "E_SHAPE" : "E_DTYPE",
      `${where}: labels are ${textOf(labels)}, expected the type of the logits, ${textOf(logits)}`,
    );
  const products = multiply(labels, logSoftmax(logits));
  return negative(reduceSum(products, { axis: -1 }), named(where, options));
}

/**
 * `-log(max(prediction[label], 1e-20))` for each row of the last axis, unreduced: prediction holds probabilities.
 * Labels are as for `sparseSoftmaxCrossEntropyWithLogits`, which is more exact and to be preferred where there are
 * logits.
 * @flow nn.sparse_cross_entropy
 * @example
 * ```ts job
 * // labels: int32 = [1]
 * // prediction = [[0.5, 0.25, 0.25]]
 * flow.nn.sparseCrossEntropy(labels, prediction); // -> [1.38629]
 * ```
 */
export function sparseCrossEntropy(labels: Blob, prediction: Blob, options?: Named): Blob {
  const where = "sparseCrossEntropy";
  const name = nameOf(where, options);
  requireBlob(where, "labels", labels);
  requireFloat(where, prediction, "prediction");
  const rows = prediction.shape.length > 1 ? prediction.shape.slice(0, -1) : [1];
  const flat = sameShape(labels.shape, [...rows, 1]) ? reshape(labels, rows) : labels;
  if (labels.dtype !== "int32" && labels.dtype !== "int64")
    throw new FlowError("E_DTYPE", `${where}: labels are ${textOf(labels)}, expected int32 or int64`);
  if (prediction.shape.length < 2 || !sameShape(flat.shape, rows))
    throw new FlowError(
      "E_SHAPE",
      `${where}: labels are ${textOf(labels)}, expected [${rows.join(",")}] for a prediction of rank 2 or more, got ${textOf(prediction)}`,
    );
  checkIndices(`${where}${name === undefined ? "" : ` '${name}'`}: label`, flat, prediction.shape.at(-1)!, "E_LABEL");
  const chosen = reduceSum(choose(isLabel(flat, prediction), prediction, 0), { axis: -1 });
  return negative(log(maximum(chosen, 1e-20)), name === undefined ? {} : { name });
}

/**
 * `max(x, 0) - x z + log(1 + e^-|x|)`, unreduced, for logits x and labels z in [0, 1] of any dtype.
 * @flow nn.sigmoid_cross_entropy_with_logits
 * @example
 * ```ts job
 * // labels = [1, 0]
 * // logits = [0, 2]
 * flow.nn.sigmoidCrossEntropyWithLogits(labels, logits); // -> [0.69315, 2.12693]
 * ```
 */
export function sigmoidCrossEntropyWithLogits(labels: Blob, logits: Blob, options?: Named): Blob {
  const where = "sigmoidCrossEntropyWithLogits";
  requireBlob(where, "labels", labels);
  requireFloat(where, logits, "logits");
  if (!sameShape(labels.shape, logits.shape))
    throw new FlowError(
      "E_SHAPE",
      `${where}: labels are ${textOf(labels)}, expected the shape of the logits, ${textOf(logits)}`,
    );
  return subtract(softplus(logits), multiply(logits, cast(labels, logits.dtype)), named(where, options));
}

/** Options of `smoothL1Loss`. */
export interface SmoothL1Options extends Named {
  /** Where the square becomes a line; default 1, 0 is the l1 loss. */
  readonly beta?: number;
}

/**
 * `d² / (2 beta)` where d = |prediction - label| < beta, else `d - beta / 2`; unreduced.
 * @flow smooth_l1_loss
 * @example
 * ```ts job
 * // prediction = [0, 0]
 * // label = [0.5, 3]
 * flow.smoothL1Loss(prediction, label); // -> [0.125, 2.5]
 * ```
 */
export function smoothL1Loss(prediction: Blob, label: Blob, options: SmoothL1Options = {}): Blob {
  const { beta = 1, name } = checkOptions("smoothL1Loss", options, ["beta", "name"]);
  requireFloat("smoothL1Loss", prediction, "prediction");
  requireBlob("smoothL1Loss", "label", label);
  broadcastType("smoothL1Loss", prediction, label);
  if (!(typeof beta === "number" && beta >= 0))
    throw new FlowError("E_ARGUMENT", `smoothL1Loss: beta is ${plainText(beta)}, expected a number of at least 0`);
  const last = name === undefined ? {} : { name };
  const distance = abs(subtract(prediction, label));
  if (beta === 0) return identity(distance, last);
  return choose(
    holds(lessOp, distance, beta),
    multiply(square(distance), 0.5 / beta),
    subtract(distance, beta / 2),
    last,
  );
}

/** True at each row's label. */
function isLabel(labels: Blob, like: Blob): Blob {
  const classes = iota([like.shape.at(-1)!], 0, labels.dtype);
  return holds(equalOp, reshape(labels, [...labels.shape, 1]), classes);
}

/** 1 at each row's label, else 0, of `logits`' type. */
function oneHotLike(labels: Blob, logits: Blob): Blob {
  return cast(isLabel(labels, logits), logits.dtype);
}
