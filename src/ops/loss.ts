import { FlowError } from "../core/errors.js";
import { sameShape } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { emit, emitAll, emitCheck, textOf } from "../graph/trace.js";
import { decomposable, type Named, normalizeAxis, op, requireFloat } from "./define.js";
import { add, cast, equalOp, multiply, negative, subtract } from "./elementwise.js";
import { iota } from "./sources.js";
import { reduceMax, reduceMin, reduceSum, reshape } from "./structure.js";
import { exp } from "./unary.js";

export interface SoftmaxOptions extends Named {
  /** Default the last axis; axis 0 is refused, as documented. */
  readonly axis?: number;
}
type AxisAttrs = { readonly axis: number };

function softmaxAxis(where: string, x: Blob, axis: number): number {
  requireFloat(where, x);
  const at = normalizeAxis(where, x.shape.length, axis);
  if (x.shape.length < 2 || at === 0)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: axis ${axis} of ${textOf(x)}: a rank of at least 2 and an axis other than 0 are needed`,
    );
  return at;
}

/** `exp(x - max) / sum(exp(x - max))` along `axis`.  @flow nn.softmax */
export function softmax(logits: Blob, { axis = -1, name }: SoftmaxOptions = {}): Blob {
  return emit(softmaxOp, [logits], { axis: softmaxAxis("softmax", logits, axis) }, name);
}
export const softmaxOp = op("softmax", {
  infer: ([x]: readonly Blob[], _: AxisAttrs): BlobType => x!,
  // dx = y (dy - sum(dy y))
  grad: ({ y, dy, attrs: { axis } }) => [
    multiply(y, subtract(dy, reduceSum(multiply(dy, y), { axis, keepdims: true }))),
  ],
});

/** `x - max - log(sum(exp(x - max)))` along `axis`: the logarithm of softmax without its underflow. */
export function logSoftmax(logits: Blob, { axis = -1, name }: SoftmaxOptions = {}): Blob {
  return emit(logSoftmaxOp, [logits], { axis: softmaxAxis("logSoftmax", logits, axis) }, name);
}
export const logSoftmaxOp = op("logSoftmax", {
  infer: ([x]: readonly Blob[], _: AxisAttrs): BlobType => x!,
  // dx = dy - softmax(x) sum(dy)
  grad: ({ y, dy, attrs: { axis } }) => [subtract(dy, multiply(exp(y), reduceSum(dy, { axis, keepdims: true })))],
});

/**
 * `-log(softmax(logits)[label])` for each row of the last axis, unreduced: shape `logits.shape[:-1]`. Labels are int32 or
 * int64 of that shape (or with a trailing 1). Computed by log-sum-exp, without v0.2's clamp of the probability at 1e-20.
 * A label outside [0, depth) fails the step with E_LABEL and nothing is updated.
 * @flow nn.sparse_softmax_cross_entropy_with_logits
 */
export function sparseSoftmaxCrossEntropyWithLogits(labels: Blob, logits: Blob, { name }: Named = {}): Blob {
  const where = "sparseSoftmaxCrossEntropyWithLogits";
  const depth = logits.shape.at(-1)!;
  const rows = logits.shape.length > 1 ? logits.shape.slice(0, -1) : [1];
  const flat = sameShape(labels.shape, [...rows, 1]) ? reshape(labels, rows) : labels;
  const [loss] = emitAll(sparseSoftmaxCrossEntropyOp, [flat, logits], {}, name);
  const what = `${where}${loss!.node.name === undefined ? "" : ` '${loss!.node.name}'`}: label`;
  emitCheck({ blob: reduceMin(flat), low: 0, high: depth - 1, what });
  emitCheck({ blob: reduceMax(flat), low: 0, high: depth - 1, what });
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

/** 1 at each row's label, else 0, of `logits`' type. */
function oneHotLike(labels: Blob, logits: Blob): Blob {
  const depth = logits.shape.at(-1)!;
  const classes = iota([depth], 0, labels.dtype);
  return cast(emit(equalOp, [reshape(labels, [...labels.shape, 1]), classes], {}), logits.dtype);
}
