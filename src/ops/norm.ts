import { checkOptions, FlowError, textOfValue } from "../core/errors.js";
import { sameShape, sizeOf } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { emit, emitAll, textOf } from "../graph/trace.js";
import {
  broadcastType,
  decomposable,
  type Named,
  normalizeAxes,
  normalizeAxis,
  requireAlike,
  requireBlob,
  requireFloat,
  requireNumber,
} from "./define.js";
import { add, divide, maximum, multiply, negative, square, subtract } from "./elementwise.js";
import { reducedShape, reduceMean, reduceSum } from "./reduce.js";
import { broadcastTo, reshape } from "./structure.js";
import { rsqrt, sqrt } from "./unary.js";

/**
 * Mean and population variance over `axes`, by two passes.
 * @flow nn.moments
 * @example
 * ```ts job
 * // x = [[1, 2, 3], [4, 5, 6]]
 * flow.nn.moments(x, [1]); // -> [[2, 5], [0.66667, 0.66667]]
 * ```
 */
export function moments(
  x: Blob,
  axes: readonly number[],
  options: Named & { readonly keepdims?: boolean } = {},
): readonly [mean: Blob, variance: Blob] {
  const { keepdims = false, name } = checkOptions("moments", options, ["keepdims", "name"]);
  requireFloat("moments", x);
  if (!Array.isArray(axes)) throw new FlowError("E_ARGUMENT", `moments: axes is ${textOfValue(axes)}, expected a list`);
  const named = (part: string): Named => (name === undefined ? {} : { name: `${name}-${part}` });
  const attrs = { axes: normalizeAxes("moments", x, axes), keepDims: keepdims };
  const [mean, variance] = emitAll(momentsOp, [x], { axes: attrs.axes });
  const shape = reducedShape(x.shape, attrs);
  return [reshape(mean!, shape, named("mean")), reshape(variance!, shape, named("variance"))];
}

type MomentsAttrs = { readonly axes: readonly number[] };

/**
 * Mean and population variance over `axes`, which stay as 1. The gradient `(dmean + 2 dvariance (x - mean)) / size` counts on deviations
 * that add up to 0: the derivative of the written-out formula sums them.
 */
export const momentsOp = decomposable("moments", {
  infer: ([x]: readonly Blob[], { axes }: MomentsAttrs): readonly BlobType[] => {
    const statistic = { dtype: x!.dtype, shape: reducedShape(x!.shape, { axes, keepDims: true }) };
    return [statistic, statistic];
  },
  grad: ({ inputs: [x], outputs: [mean], dys: [dMean, dVariance], attrs: { axes } }) => {
    const size = sizeOf(axes.map((axis) => x!.shape[axis]!));
    const shift = dMean == null ? undefined : multiply(dMean, 1 / size);
    if (dVariance == null) return [broadcastTo(shift!, x!.shape)];
    const spread = multiply(subtract(x!, mean!), multiply(dVariance, 2 / size));
    return [shift === undefined ? spread : add(spread, shift)];
  },
  axisOf: (axis, _, { axes }) => (axes.includes(axis) ? undefined : axis),
  decompose: ([x], { axes }) => {
    const mean = reduceMean(x!, { axis: axes, keepdims: true });
    return [mean, reduceMean(square(subtract(x!, mean)), { axis: axes, keepdims: true })];
  },
});

/** Options of `batchNormalization`. */
export interface BatchNormalizationOptions extends Named {
  /** Added to the result; default nothing. */
  readonly offset?: Blob;
  /** Multiplies the result; default nothing. */
  readonly scale?: Blob;
  /** Added to the variance; default 1e-5. */
  readonly varianceEpsilon?: number;
  /** The channel axis, along which rank-1 statistics lie; default 1. */
  readonly axis?: number;
}

/** `(x - mean) / sqrt(variance + varianceEpsilon) · scale + offset`, with the statistics given.  @flow nn.batch_normalization */
export function batchNormalization(x: Blob, mean: Blob, variance: Blob, options: BatchNormalizationOptions = {}): Blob {
  const known = ["offset", "scale", "varianceEpsilon", "axis", "name"];
  const { offset, scale, varianceEpsilon = 1e-5, axis = 1, name } = checkOptions("batchNormalization", options, known);
  requireFloat("batchNormalization", x);
  requireNumber("batchNormalization", "varianceEpsilon", varianceEpsilon);
  const rank = x.shape.length;
  const at = normalizeAxis("batchNormalization", rank, axis);
  const along = (what: string, blob: Blob): Blob => {
    requireBlob("batchNormalization", what, blob);
    if (blob.dtype !== x.dtype)
      throw new FlowError(
        "E_DTYPE",
        `batchNormalization: ${what} is ${textOf(blob)}, expected the dtype of x, ${textOf(x)}; flow.cast it`,
      );
    if (blob.shape.length === rank) {
      broadcastType("batchNormalization", x, blob);
      return blob;
    }
    if (!sameShape(blob.shape, [x.shape[at]!]))
      throw new FlowError(
        "E_SHAPE",
        `batchNormalization: ${what} is ${textOf(blob)}, expected [${x.shape[at]}], the size of axis ${at} of ${textOf(x)}, or its rank`,
      );
    return reshape(
      blob,
      x.shape.map((d, i) => (i === at ? d : 1)),
    );
  };
  const inverse = rsqrt(add(along("variance", variance), varianceEpsilon));
  const factor = scale === undefined ? inverse : multiply(inverse, along("scale", scale));
  const named = name === undefined ? {} : { name };
  const centered = subtract(x, along("mean", mean));
  return offset === undefined
    ? multiply(centered, factor, named)
    : add(multiply(centered, factor), along("offset", offset), named);
}

/** Options of `layerNorm`. */
export interface LayerNormOptions extends Named {
  /** Multiplies the result; default nothing. */
  readonly gamma?: Blob;
  /** Added to the result; default nothing. */
  readonly beta?: Blob;
  /** The first of the axes that are normalized together; default 1. */
  readonly beginNormAxis?: number;
  /** The first of the axes that gamma and beta span; default -1. */
  readonly beginParamsAxis?: number;
  /** Added to the variance; default 1e-5. */
  readonly epsilon?: number;
}

/** `(x - mean) / sqrt(variance + epsilon) · gamma + beta`, statistics over the axes from `beginNormAxis` on.  @flow nn.layer_norm */
export function layerNorm(inputs: Blob, options: LayerNormOptions = {}): Blob {
  const known = ["gamma", "beta", "beginNormAxis", "beginParamsAxis", "epsilon", "name"];
  checkOptions("layerNorm", options, known);
  const { gamma, beta, beginNormAxis = 1, beginParamsAxis = -1, epsilon = 1e-5, name } = options;
  requireNumber("layerNorm", "epsilon", epsilon);
  requireFloat("layerNorm", inputs, "inputs");
  const rank = inputs.shape.length;
  const begin = normalizeAxis("layerNorm", rank, beginNormAxis);
  const params = inputs.shape.slice(normalizeAxis("layerNorm", rank, beginParamsAxis));
  for (const [what, blob] of Object.entries({ gamma, beta })) {
    if (blob === undefined) continue;
    requireBlob("layerNorm", what, blob);
    if (!sameShape(blob.shape, params))
      throw new FlowError(
        "E_SHAPE",
        `layerNorm: ${what} is ${textOf(blob)}, expected [${params.join(",")}], the dimensions of ${textOf(inputs)} from axis ${beginParamsAxis} on`,
      );
  }
  const named = name === undefined ? {} : { name };
  if (gamma === undefined && beta === undefined) return emit(standardizeOp, [inputs], { begin, epsilon }, name);
  const normal = emit(standardizeOp, [inputs], { begin, epsilon });
  if (gamma === undefined) return add(normal, beta!, named);
  return beta === undefined ? multiply(normal, gamma, named) : add(multiply(normal, gamma), beta, named);
}

type StandardizeAttrs = { readonly begin: number; readonly epsilon: number };

const axesFrom = (x: Blob, begin: number): readonly number[] =>
  x.shape.flatMap((_, axis) => (axis < begin ? [] : [axis]));

/**
 * `n = (x - mean) inv` and `inv = 1 / sqrt(variance + epsilon)`, statistics over the axes from `begin` on. The gradient needs no more
 * than these two: `inv (dn - mean(dn) - n (mean(dn n) + inv dinv / size))`.
 */
export const standardizeOp = decomposable("standardize", {
  infer: ([x]: readonly Blob[], { begin }: StandardizeAttrs): readonly BlobType[] => {
    requireFloat("standardize", x!);
    return [x!, { dtype: x!.dtype, shape: x!.shape.map((size, axis) => (axis < begin ? size : 1)) }];
  },
  grad: ({ inputs: [x], outputs: [n, inverse], dys: [dn, dInverse], attrs: { begin } }) => {
    const over = { axis: axesFrom(x!, begin), keepdims: true };
    const size = sizeOf(x!.shape.slice(begin));
    const ofInverse = dInverse == null ? undefined : multiply(multiply(inverse!, dInverse), 1 / size);
    if (dn == null) return [negative(multiply(inverse!, multiply(n!, ofInverse!)))];
    const along = reduceMean(multiply(dn, n!), over);
    const slope = ofInverse === undefined ? along : add(along, ofInverse);
    return [multiply(subtract(subtract(dn, reduceMean(dn, over)), multiply(n!, slope)), inverse!)];
  },
  axisOf: (axis, _, { begin }) => (axis < begin ? axis : undefined),
  decompose: ([x], { begin, epsilon }) => {
    const over = { axis: axesFrom(x!, begin), keepdims: true };
    const centered = subtract(x!, reduceMean(x!, over));
    const inverse = rsqrt(add(reduceMean(square(centered), over), epsilon));
    return [multiply(centered, inverse), inverse];
  },
});

/** Options of `layerNormGrad`. */
export interface LayerNormGradOptions extends Named {
  /** The first of the axes that were normalized together; default 1. */
  readonly beginNormAxis?: number;
}

/**
 * The gradient of a layer norm's normalized blob with respect to `x`: `inv (dy - mean(dy) - n mean(dy n))`, with `n = (x - mean)
 * inv` and means over the axes from `beginNormAxis` on. `mean` and `invVariance`, which is `1 / sqrt(variance + epsilon)`, have
 * the shape `x.shape[:beginNormAxis]`, or that with ones behind.
 * @flow layers.layer_norm_grad
 * @example
 * ```ts job
 * // dy = [[1, 0]]
 * // x = [[1, 3]]
 * // mean = [2]
 * // invVariance = [1]
 * flow.layers.layerNormGrad(dy, x, mean, invVariance); // -> [[0, 0]]
 * ```
 */
export function layerNormGrad(
  dy: Blob,
  x: Blob,
  mean: Blob,
  invVariance: Blob,
  options: LayerNormGradOptions = {},
): Blob {
  const what = "layers.layerNormGrad";
  const { beginNormAxis = 1, name } = checkOptions(what, options, ["beginNormAxis", "name"]);
  const where = name === undefined ? what : `${what} '${name}'`;
  requireAlike(where, { dy, x });
  const begin = normalizeAxis(where, x.shape.length, beginNormAxis);
  const lead = x.shape.slice(0, begin);
  const full = x.shape.map((size, i) => (i < begin ? size : 1));
  const [center, inverse] = Object.entries({ mean, invVariance }).map(([part, blob]) => {
    requireFloat(where, blob, part);
    const fits = [lead.length === 0 ? [1] : lead, full].some((shape) => sameShape(shape, blob.shape));
    if (blob.dtype !== x.dtype || !fits)
      throw new FlowError(
        blob.dtype === x.dtype ? "E_SHAPE" : "E_DTYPE",
        `${where}: ${part} is ${textOf(blob)}, expected ${x.dtype}[${lead.length === 0 ? 1 : lead.join(",")}], one for each row of ${textOf(x)} from axis ${begin} on`,
      );
    return reshape(blob, full);
  }) as [Blob, Blob];
  const axes = x.shape.flatMap((_, i) => (i < begin ? [] : [i]));
  const normal = multiply(subtract(x, center), inverse);
  const along = reduceMean(multiply(dy, normal), { axis: axes, keepdims: true });
  const centered = subtract(subtract(dy, reduceMean(dy, { axis: axes, keepdims: true })), multiply(normal, along));
  return multiply(inverse, centered, name === undefined ? {} : { name });
}

/** Options of `layerNormParamGrad`. */
export interface LayerNormParamGradOptions extends Named {
  /** The first of the axes that gamma and beta span; default -1. */
  readonly beginParamsAxis?: number;
}

/**
 * The gradients of a layer norm's last part, `norm gamma + beta`: `[dy gamma, sum(dy), sum(dy norm)]`, sums over the axes before
 * `beginParamsAxis`.
 * @flow layers.layer_norm_param_grad
 * @example
 * ```ts job
 * // dy = [[1, 2], [3, 4]]
 * // norm = [[-1, 1], [1, -1]]
 * // gamma = [2, 3]
 * const [normalizedDiff, betaDiff, gammaDiff] = flow.layers.layerNormParamGrad(dy, norm, gamma);
 * normalizedDiff; // -> [[2, 6], [6, 12]]
 * betaDiff; // -> [4, 6]
 * gammaDiff; // -> [2, -2]
 * ```
 */
export function layerNormParamGrad(
  dy: Blob,
  norm: Blob,
  gamma: Blob,
  options: LayerNormParamGradOptions = {},
): readonly [normalizedDiff: Blob, betaDiff: Blob, gammaDiff: Blob] {
  const what = "layers.layerNormParamGrad";
  const { beginParamsAxis = -1, name } = checkOptions(what, options, ["beginParamsAxis", "name"]);
  const where = name === undefined ? what : `${what} '${name}'`;
  requireAlike(where, { dy, norm });
  requireFloat(where, gamma, "gamma");
  const begin = normalizeAxis(where, dy.shape.length, beginParamsAxis);
  const params = dy.shape.slice(begin);
  if (gamma.dtype !== dy.dtype || !sameShape(gamma.shape, params))
    throw new FlowError(
      gamma.dtype === dy.dtype ? "E_SHAPE" : "E_DTYPE",
      `${where}: gamma is ${textOf(gamma)}, expected ${dy.dtype}[${params.join(",")}], the dimensions of ${textOf(dy)} from axis ${beginParamsAxis} on`,
    );
  const axis = dy.shape.flatMap((_, i) => (i < begin ? [i] : []));
  const part = (ending: string): Named => (name === undefined ? {} : { name: `${name}-${ending}` });
  return [
    multiply(dy, gamma, part("normalized_diff")),
    reduceSum(dy, { axis, ...part("beta_diff") }),
    reduceSum(multiply(dy, norm), { axis, ...part("gamma_diff") }),
  ];
}

/** Options of `l2Normalize`. */
export interface L2NormalizeOptions extends Named {
  /** The axis whose vectors get length 1; required. */
  readonly axis?: number;
  /** The least square length that is divided by; default 1e-12. */
  readonly epsilon?: number;
}

/**
 * `x / sqrt(max(sum(x²), epsilon))` along one axis.
 * @flow math.l2_normalize
 * @example
 * ```ts job
 * // x = [[3, 4]]
 * flow.math.l2Normalize(x, { axis: 1 }); // -> [[0.6, 0.8]]
 * ```
 */
export function l2Normalize(input: Blob, options: L2NormalizeOptions = {}): Blob {
  const { axis, epsilon = 1e-12, name } = checkOptions("l2Normalize", options, ["axis", "epsilon", "name"]);
  if (axis === undefined) throw new FlowError("E_ARGUMENT", "l2Normalize: axis is missing; pass { axis: -1 }");
  requireFloat("l2Normalize", input, "input");
  normalizeAxes("l2Normalize", input, axis);
  requireNumber("l2Normalize", "epsilon", epsilon);
  const squares = reduceSum(square(input), { axis, keepdims: true });
  return divide(input, sqrt(maximum(squares, epsilon)), name === undefined ? {} : { name });
}
