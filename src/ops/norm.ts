import { checkOptions, FlowError } from "../core/errors.js";
import { sameShape } from "../core/shape.js";
import type { Blob } from "../graph/blob.js";
import { textOf } from "../graph/trace.js";
import { broadcastType, type Named, normalizeAxis, requireBlob, requireFloat } from "./define.js";
import { add, divide, maximum, multiply, square, subtract } from "./elementwise.js";
import { reduceMean, reduceSum } from "./reduce.js";
import { reshape } from "./structure.js";
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
  if (!Array.isArray(axes)) throw new FlowError("E_ARGUMENT", `moments: axes is ${typeof axes}, expected a list`);
  const named = (part: string): Named => (name === undefined ? {} : { name: `${name}-${part}` });
  const mean = reduceMean(x, { axis: axes, keepdims: true });
  const variance = reduceMean(square(subtract(x, mean)), { axis: axes, keepdims, ...named("variance") });
  return [keepdims ? mean : reshape(mean, variance.shape, named("mean")), variance];
}

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
  const axes = Array.from({ length: rank - begin }, (_, i) => begin + i);
  const mean = reduceMean(inputs, { axis: axes, keepdims: true });
  const centered = subtract(inputs, mean);
  const deviation = sqrt(add(reduceMean(square(centered), { axis: axes, keepdims: true }), epsilon));
  const named = name === undefined ? {} : { name };
  if (gamma === undefined && beta === undefined) return divide(centered, deviation, named);
  const normal = divide(centered, deviation);
  if (gamma === undefined) return add(normal, beta!, named);
  return beta === undefined ? multiply(normal, gamma, named) : add(multiply(normal, gamma), beta, named);
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
  const squares = reduceSum(square(input), { axis, keepdims: true });
  return divide(input, sqrt(maximum(squares, epsilon)), name === undefined ? {} : { name });
}
