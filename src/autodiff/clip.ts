import type { Blob } from "../graph/blob.js";
import { add, divide, minimum, multiply } from "../ops/elementwise.js";
import { reduceSum } from "../ops/reduce.js";
import { scalarLike } from "../ops/sources.js";
import { sqrt } from "../ops/unary.js";

/** `sqrt` of the sum of squares over all of `gradients`, shape `[1]`. */
export function globalNorm(gradients: readonly Blob[]): Blob {
  return sqrt(gradients.map((g) => reduceSum(multiply(g, g))).reduce((sum, part) => add(sum, part)));
}

/**
 * Every gradient times `min(1, clip / norm)`, norm over all of them together: the documented formula (v0.2's source lacks
 * the factor clip). All-zero gradients stay zero, since `min(1, inf)` is 1.
 */
export function clipByGlobalNorm(gradients: readonly Blob[], clip: number): readonly Blob[] {
  const norm = globalNorm(gradients);
  const factor = minimum(scalarLike(1, norm), divide(scalarLike(clip, norm), norm));
  return gradients.map((g) => multiply(g, factor));
}
