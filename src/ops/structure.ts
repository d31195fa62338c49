import { FlowError } from "../core/errors.js";
import { broadcastShapes, type Shape, sameShape, sizeOf } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { emit, textOf } from "../graph/trace.js";
import { type GradRule, type Named, normalizeAxes, normalizeAxis, type Op, op } from "./define.js";
import { cast, divide, equalOp, multiply } from "./elementwise.js";

// --- shape ---------------------------------------------------------------------------------------------------------

/** The same elements in C order under another shape; one dimension may be -1.  @flow reshape */
export function reshape(x: Blob, shape: Shape, { name }: Named = {}): Blob {
  return emit(reshapeOp, [x], { shape: resolveShape(x, shape) }, name);
}
export const reshapeOp = op("reshape", {
  infer: ([x], { shape }: { readonly shape: Shape }): BlobType => ({ dtype: x!.dtype, shape }),
  grad: ({ inputs: [x], dy }) => [reshape(dy, x!.shape)],
});

function resolveShape(x: Blob, shape: Shape): Shape {
  const text = `reshape: cannot give ${textOf(x)} the shape [${shape.join(",")}]`;
  const unknown = shape.filter((d) => d === -1).length;
  if (unknown > 1) throw new FlowError("E_SHAPE", `${text}: only one dimension may be -1`);
  if (!shape.every((d) => d === -1 || (Number.isInteger(d) && d > 0)))
    throw new FlowError("E_SHAPE", `${text}: dimensions must be positive integers, one may be -1`);
  const known = sizeOf(shape.filter((d) => d !== -1));
  const size = sizeOf(x.shape);
  if (unknown === 1 ? size % known !== 0 : known !== size)
    throw new FlowError(
      "E_SHAPE",
      `${text}: ${size} elements do not fill ${known}${unknown === 1 ? " times a whole number" : ""}`,
    );
  const resolved = shape.map((d) => (d === -1 ? size / known : d));
  return resolved.length === 0 ? [1] : resolved;
}

export interface TransposeOptions extends Named {
  /** Where each axis of the result comes from; required, a permutation of all axes. */
  readonly perm?: readonly number[];
}

/** The axes of `x` in the order `perm`.  @flow transpose */
export function transpose(x: Blob, { perm, name }: TransposeOptions = {}): Blob {
  if (perm === undefined) throw new FlowError("E_ARGUMENT", "transpose: perm is missing; pass { perm: [1, 0] }");
  return emit(transposeOp, [x], { perm }, name);
}
export const transposeOp = op("transpose", {
  infer: ([x], { perm }: { readonly perm: readonly number[] }): BlobType => {
    const rank = x!.shape.length;
    if (perm.length !== rank || !Array.from({ length: rank }, (_, i) => i).every((axis) => perm.includes(axis))) {
      throw new FlowError(
        "E_ARGUMENT",
        `transpose: perm [${perm.join(",")}] is no permutation of the ${rank} axes of ${textOf(x!)}`,
      );
    }
    return { dtype: x!.dtype, shape: perm.map((axis) => x!.shape[axis]!) };
  },
  grad: ({ dy, attrs: { perm } }) => [transpose(dy, { perm: invert(perm) })],
});

const invert = (perm: readonly number[]): number[] => perm.map((_, axis) => perm.indexOf(axis));

/** `x` repeated along its unit (or missing leading) dimensions up to `shape`. */
export function broadcastTo(x: Blob, shape: Shape, { name }: Named = {}): Blob {
  return sameShape(x.shape, shape) ? x : emit(broadcastToOp, [x], { shape }, name);
}
export const broadcastToOp = op("broadcastTo", {
  infer: ([x], { shape }: { readonly shape: Shape }): BlobType => {
    const result = broadcastShapes(x!.shape, shape);
    if ("conflict" in result || !sameShape(result.shape, shape))
      throw new FlowError("E_SHAPE", `broadcastTo: ${textOf(x!)} does not broadcast to [${shape.join(",")}]`);
    return { dtype: x!.dtype, shape };
  },
  // The driver sums the cotangent over the repeated axes.
  grad: ({ dy }) => [dy],
});

// --- reductions ----------------------------------------------------------------------------------------------------

export interface ReduceOptions extends Named {
  /** Axis or axes, negative from the end; every axis where left out. */
  readonly axis?: number | readonly number[];
  /** Keep reduced axes as 1; default false. */
  readonly keepdims?: boolean;
}
export type ReduceAttrs = { readonly axes: readonly number[]; readonly keepDims: boolean };

const reducedShape = (shape: Shape, { axes, keepDims }: ReduceAttrs): Shape => {
  const reduced = keepDims
    ? shape.map((d, axis) => (axes.includes(axis) ? 1 : d))
    : shape.filter((_, axis) => !axes.includes(axis));
  return reduced.length === 0 ? [1] : reduced;
};

const reduction = <const N extends string>(name: N, grad: GradRule<ReduceAttrs>): Op<N, ReduceAttrs, "primitive"> =>
  op(name, {
    infer: ([x], attrs: ReduceAttrs): BlobType => ({ dtype: x!.dtype, shape: reducedShape(x!.shape, attrs) }),
    grad,
  });

/** `dy` with the reduced axes back as 1, so that it broadcasts against `x`. */
const restoreAxes = (dy: Blob, x: Blob, { axes }: ReduceAttrs): Blob =>
  reshape(
    dy,
    x.shape.map((d, axis) => (axes.includes(axis) ? 1 : d)),
  );

/** Sums over `axis` (every axis when omitted; a full sum has shape `[1]`).  @flow math.reduce_sum */
export function reduceSum(x: Blob, { axis, keepdims = false, name }: ReduceOptions = {}): Blob {
  return emit(reduceSumOp, [x], { axes: normalizeAxes("reduceSum", x, axis), keepDims: keepdims }, name);
}
export const reduceSumOp = reduction("reduceSum", ({ inputs: [x], dy, attrs }) => [
  broadcastTo(restoreAxes(dy, x!, attrs), x!.shape),
]);

/** Means over `axis`.  @flow math.reduce_mean */
export function reduceMean(x: Blob, { axis, keepdims = false, name }: ReduceOptions = {}): Blob {
  const axes = normalizeAxes("reduceMean", x, axis);
  const count = sizeOf(axes.map((a) => x.shape[a]!));
  return divide(reduceSum(x, { axis: axes, keepdims }), count, name === undefined ? {} : { name });
}

/** Maxima over `axis`; equal maxima share the gradient equally.  @flow math.reduce_max */
export function reduceMax(x: Blob, { axis, keepdims = false, name }: ReduceOptions = {}): Blob {
  return emit(reduceMaxOp, [x], { axes: normalizeAxes("reduceMax", x, axis), keepDims: keepdims }, name);
}
export const reduceMaxOp = reduction("reduceMax", (context) => shareAmongTies(context));

/** Minima over `axis`; equal minima share the gradient equally.  @flow math.reduce_min */
export function reduceMin(x: Blob, { axis, keepdims = false, name }: ReduceOptions = {}): Blob {
  return emit(reduceMinOp, [x], { axes: normalizeAxes("reduceMin", x, axis), keepDims: keepdims }, name);
}
export const reduceMinOp = reduction("reduceMin", (context) => shareAmongTies(context));

const shareAmongTies: GradRule<ReduceAttrs> = ({ inputs: [x], y, dy, attrs }) => {
  const hit = cast(emit(equalOp, [x!, restoreAxes(y, x!, attrs)], {}), dy.dtype);
  const ties = reduceSum(hit, { axis: attrs.axes, keepdims: true });
  return [multiply(hit, divide(restoreAxes(dy, x!, attrs), ties))];
};

/** Index of the first maximum of the last axis, int32; a rank-1 input gives `[1]`.  @flow math.argmax */
export function argmax(x: Blob, { name }: Named = {}): Blob {
  return emit(argmaxOp, [x], { axis: normalizeAxis("argmax", x.shape.length, -1) }, name);
}
export const argmaxOp = op("argmax", {
  infer: ([x], { axis }: { readonly axis: number }): BlobType => ({
    dtype: "int32",
    shape: reducedShape(x!.shape, { axes: [axis], keepDims: false }),
  }),
  grad: "stop",
});
