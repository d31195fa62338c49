import { checkOptions } from "../core/errors.js";
import { type Shape, sizeOf } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import type { AxisRule } from "../graph/extent.js";
import { emit } from "../graph/trace.js";
import {
  decomposable,
  type GradRule,
  type Named,
  named,
  normalizeAxes,
  type Op,
  op,
  requireBlob,
  requireFloat,
} from "./define.js";
import { abs, add, cast, divide, equalOp, holds, multiply, notEqual, square, subtract, where } from "./elementwise.js";
import { broadcastTo, reshape } from "./structure.js";
import { exp, log, sqrt } from "./unary.js";

/** Options of reduceSum` and the other reductions. */
export interface ReduceOptions extends Named {
  /** Axis or axes, negative from the end; every axis where left out. */
  readonly axis?: number | readonly number[];
  /** Keep reduced axes as 1; default false. */
  readonly keepdims?: boolean;
}
export type ReduceAttrs = { readonly axes: readonly number[]; readonly keepDims: boolean };

export const reducedShape = (shape: Shape, { axes, keepDims }: ReduceAttrs): Shape => {
  const reduced = keepDims
    ? shape.map((d, axis) => (axes.includes(axis) ? 1 : d))
    : shape.filter((_, axis) => !axes.includes(axis));
  return reduced.length === 0 ? [1] : reduced;
};

/** Where an axis that is not reduced lies in the result. */
const keptAxis: AxisRule<ReduceAttrs> = (axis, _, { axes, keepDims }) => {
  if (axes.includes(axis)) return undefined;
  return keepDims ? axis : axis - axes.filter((a) => a < axis).length;
};

const reduction = <const N extends string>(name: N, grad: GradRule<ReduceAttrs>): Op<N, ReduceAttrs, "primitive"> =>
  op(name, {
    infer: ([x], attrs: ReduceAttrs): BlobType => ({ dtype: x!.dtype, shape: reducedShape(x!.shape, attrs) }),
    grad,
    axisOf: keptAxis,
  });

const checked = (where: string, options: ReduceOptions): ReduceOptions =>
  checkOptions(where, options, ["axis", "keepdims", "name"]);

/** The attributes and the name in the options of a reduction, checked. */
function reducing(where: string, x: Blob, options: ReduceOptions): { attrs: ReduceAttrs; name: string | undefined } {
  const { axis, keepdims = false, name } = checked(where, options);
  return { attrs: { axes: normalizeAxes(where, x, axis), keepDims: keepdims }, name };
}

/** `dy` with the reduced axes back as 1, so that it broadcasts against `x`. */
const restoreAxes = (dy: Blob, x: Blob, { axes }: ReduceAttrs): Blob =>
  reshape(
    dy,
    x.shape.map((d, axis) => (axes.includes(axis) ? 1 : d)),
  );

/**
 * Sums over `axis` (every axis when omitted; a full sum has shape `[1]`).
 * @flow math.reduce_sum
 * @example
 * ```ts job
 * // x = [[1, 2, 3], [4, 5, 6]]
 * flow.math.reduceSum(x); // -> [21]
 * flow.math.reduceSum(x, { axis: 1 }); // -> [6, 15]
 * flow.math.reduceSum(x, { axis: -1, keepdims: true }); // -> [[6], [15]]
 * ```
 */
export function reduceSum(x: Blob, options: ReduceOptions = {}): Blob {
  const { attrs, name } = reducing("reduceSum", x, options);
  return emit(reduceSumOp, [x], attrs, name);
}
export const reduceSumOp = reduction("reduceSum", ({ inputs: [x], dy, attrs }) => [
  broadcastTo(restoreAxes(dy, x!, attrs), x!.shape),
]);

/**
 * Means over `axis`.
 * @flow math.reduce_mean
 * @example
 * ```ts job
 * // x = [[1, 2, 3], [4, 5, 6]]
 * flow.math.reduceMean(x, { axis: 0 }); // -> [2.5, 3.5, 4.5]
 * ```
 */
export function reduceMean(x: Blob, options: ReduceOptions = {}): Blob {
  const { attrs, name } = reducing("reduceMean", x, options);
  const { axes, keepDims: keepdims } = attrs;
  const count = sizeOf(axes.map((a) => x.shape[a]!));
  return divide(reduceSum(x, { axis: axes, keepdims }), count, name === undefined ? {} : { name });
}

/**
 * Maxima over `axis`; equal maxima share the gradient equally.
 * @flow math.reduce_max
 * @example
 * ```ts job
 * // x = [[1, 2, 3], [4, 5, 6]]
 * flow.math.reduceMax(x, { axis: 1 }); // -> [3, 6]
 * ```
 */
export function reduceMax(x: Blob, options: ReduceOptions = {}): Blob {
  const { attrs, name } = reducing("reduceMax", x, options);
  return emit(reduceMaxOp, [x], attrs, name);
}
export const reduceMaxOp = reduction("reduceMax", (context) => shareAmongTies(context));

/** Minima over `axis`; equal minima share the gradient equally.  @flow math.reduce_min */
export function reduceMin(x: Blob, options: ReduceOptions = {}): Blob {
  const { attrs, name } = reducing("reduceMin", x, options);
  return emit(reduceMinOp, [x], attrs, name);
}
export const reduceMinOp = reduction("reduceMin", (context) => shareAmongTies(context));

const shareAmongTies: GradRule<ReduceAttrs> = ({ inputs: [x], y, dy, attrs }) => {
  const hit = cast(holds(equalOp, x!, restoreAxes(y, x!, attrs)), dy.dtype);
  const ties = reduceSum(hit, { axis: attrs.axes, keepdims: true });
  return [multiply(hit, divide(restoreAxes(dy, x!, attrs), ties))];
};

/** Products over `axis`. Where one factor of a product is 0, only that one gets a gradient.  @flow math.reduce_prod */
export function reduceProd(x: Blob, options: ReduceOptions = {}): Blob {
  const { attrs, name } = reducing("reduceProd", x, options);
  return emit(reduceProdOp, [x], attrs, name);
}
export const reduceProdOp = reduction("reduceProd", ({ inputs: [x], y, dy, attrs }) => {
  // The product of the other factors: y / x without zeros; with one zero, the product of the rest, for that one alone.
  const isZero = holds(equalOp, x!, 0);
  const factors = where(isZero, 1, x!);
  const { axes: axis } = attrs;
  const zeros = reduceSum(cast(isZero, x!.dtype), { axis, keepdims: true });
  const ofRest = where(isZero, reduceProd(factors, { axis, keepdims: true }), 0);
  const others = where(
    holds(equalOp, zeros, 0),
    divide(restoreAxes(y, x!, attrs), factors),
    where(holds(equalOp, zeros, 1), ofRest, 0),
  );
  return [multiply(restoreAxes(dy, x!, attrs), others)];
});

/**
 * Population variances over `axis`, by two passes: the mean of `(x - mean)²`.
 * @flow math.reduce_variance
 * @example
 * ```ts job
 * // x = [[1, 2, 3], [4, 5, 6]]
 * flow.math.reduceVariance(x, { axis: 1 }); // -> [0.66667, 0.66667]
 * ```
 */
export function reduceVariance(x: Blob, options: ReduceOptions = {}): Blob {
  const { axes: axis } = reducing("reduceVariance", x, options).attrs;
  requireFloat("reduceVariance", x);
  const deviation = subtract(x, reduceMean(x, { axis, keepdims: true }));
  return reduceMean(square(deviation), options);
}

/** Population standard deviations over `axis`; where one is 0, so is its slope.  @flow math.reduce_std */
export function reduceStd(x: Blob, options: ReduceOptions = {}): Blob {
  const { name, ...rest } = checked("reduceStd", options);
  requireFloat("reduceStd", x);
  normalizeAxes("reduceStd", x, rest.axis);
  return rootOf(reduceVariance(x, rest), name);
}

/** `sqrt(sum(x²))` over `axis`; where it is 0, so is its slope.  @flow math.reduce_euclidean_norm */
export function reduceEuclideanNorm(x: Blob, options: ReduceOptions = {}): Blob {
  const { name, ...rest } = checked("reduceEuclideanNorm", options);
  requireFloat("reduceEuclideanNorm", x);
  normalizeAxes("reduceEuclideanNorm", x, rest.axis);
  return rootOf(reduceSum(square(x), rest), name);
}

/** The square root with slope 0 at 0. */
function rootOf(x: Blob, name: string | undefined): Blob {
  const isZero = holds(equalOp, x, 0);
  return where(isZero, 0, sqrt(where(isZero, 1, x)), name === undefined ? {} : { name });
}

/**
 * The sum of the squares of all elements, `[1]`.
 * @flow experimental.square_sum
 * @example
 * ```ts job
 * // x = [[1, 2], [3, 4]]
 * flow.experimental.squareSum(x); // -> [30]
 * ```
 */
export function squareSum(x: Blob, options?: Named): Blob {
  const last = named("squareSum", options);
  requireBlob("squareSum", "x", x);
  return reduceSum(square(x), last);
}

/**
 * `log(sum(e^x))` over `axis`, with the maximum taken out first.
 * @flow math.reduce_logsumexp
 * @example
 * ```ts job
 * // x = [1000, 1000]
 * flow.math.reduceLogsumexp(x); // -> [1000.6931]
 * ```
 */
export function reduceLogsumexp(x: Blob, options: ReduceOptions = {}): Blob {
  const { attrs, name } = reducing("reduceLogsumexp", x, options);
  return emit(reduceLogsumexpOp, [x], attrs, name);
}
export const reduceLogsumexpOp = decomposable("reduceLogsumexp", {
  infer: ([x], attrs: ReduceAttrs): BlobType => {
    requireFloat("reduceLogsumexp", x!);
    return { dtype: x!.dtype, shape: reducedShape(x!.shape, attrs) };
  },
  // The softmax, scaled.
  grad: ({ inputs: [x], y, dy, attrs }) => [
    multiply(restoreAxes(dy, x!, attrs), exp(subtract(x!, restoreAxes(y, x!, attrs)))),
  ],
  axisOf: keptAxis,
  decompose: ([x], { axes: axis, keepDims }) => {
    const largest = reduceMax(x!, { axis, keepdims: true });
    const shift = where(holds(equalOp, abs(largest), Infinity), 0, largest);
    const sum = reduceSum(exp(subtract(x!, shift)), { axis, keepdims: true });
    const result = add(log(sum), shift);
    return [keepDims ? result : reshape(result, reducedShape(x!.shape, { axes: axis, keepDims }))];
  },
});

/**
 * 1 where any element over `axis` is not 0, else 0, as int8.
 * @flow math.reduce_any
 * @example
 * ```ts job
 * // x = [[0, 0], [0, 2]]
 * flow.math.reduceAny(x, { axis: 1 }); // -> [0, 1]
 * ```
 */
export function reduceAny(x: Blob, options: ReduceOptions = {}): Blob {
  requireBlob("reduceAny", "x", x);
  normalizeAxes("reduceAny", x, checked("reduceAny", options).axis);
  return reduceMax(notEqual(x, 0), options);
}

/** 1 where all elements over `axis` are not 0, else 0, as int8.  @flow math.reduce_all */
export function reduceAll(x: Blob, options: ReduceOptions = {}): Blob {
  requireBlob("reduceAll", "x", x);
  normalizeAxes("reduceAll", x, checked("reduceAll", options).axis);
  return reduceMin(notEqual(x, 0), options);
}
