import { checkOptions, FlowError, plainText } from "../core/errors.js";
import { sameShape } from "../core/shape.js";
import { Blob } from "../graph/blob.js";
import { currentBuilder, textOf } from "../graph/trace.js";
import { requireBlobs } from "../ops/define.js";
import { zerosLike } from "../ops/sources.js";
import { backpropagate } from "./backpropagate.js";

/** Options of `gradients`. */
export interface GradientsOptions {
  /** Cotangents of the ys, of their types; default ones. */
  readonly gradYs?: Blob | readonly Blob[];
  /** What an x that no y depends on gives: default "error", or "zero". */
  readonly unconnectedGradients?: "error" | "zero";
}

/**
 * The gradients of the sum of all elements of `ys` with respect to each of `xs`, inside a job of any type: one blob of
 * x's dtype and shape for each x. They are blobs like any other, so gradients of gradients can be taken, and a loss may
 * use them (a gradient penalty).
 * @example
 * ```ts job
 * // x = [1, 2, 3]
 * const y = flow.math.pow(x, 3);
 * const [dx] = flow.gradients(y, [x]);
 * dx!.add(0); // -> [3, 12, 27]
 * const [second] = flow.gradients(dx!, [x]);
 * second!.add(0); // -> [6, 12, 18]
 * ```
 */
export function gradients(ys: Blob | readonly Blob[], xs: Blob, options?: GradientsOptions): Blob;
export function gradients<const X extends readonly Blob[]>(
  ys: Blob | readonly Blob[],
  xs: X,
  options?: GradientsOptions,
): { readonly [K in keyof X]: Blob };
export function gradients(
  ys: Blob | readonly Blob[],
  xs: Blob | readonly Blob[],
  options: GradientsOptions = {},
): Blob | readonly Blob[] {
  checkOptions("gradients", options, ["gradYs", "unconnectedGradients"]);
  currentBuilder("gradients");
  const { gradYs, unconnectedGradients = "error" } = options;
  if (unconnectedGradients !== "error" && unconnectedGradients !== "zero")
    throw new FlowError(
      "E_ARGUMENT",
      `gradients: unconnectedGradients is ${plainText(unconnectedGradients)}, expected "error" or "zero"`,
    );
  const targets = floats("ys", ys);
  const sources = floats("xs", xs);
  const seeds = gradYs === undefined ? undefined : floats("gradYs", gradYs);
  if (seeds !== undefined && seeds.length !== targets.length)
    throw new FlowError("E_ARGUMENT", `gradients: got ${seeds.length} gradYs for ${targets.length} ys`);
  for (const [i, seed] of (seeds ?? []).entries()) {
    const y = targets[i]!;
    if (seed.dtype !== y.dtype || !sameShape(seed.shape, y.shape))
      throw new FlowError("E_SHAPE", `gradients: gradYs ${i} is ${textOf(seed)}, expected ${textOf(y)} as its y`);
  }
  const found = backpropagate(targets, sources, seeds).map((gradient, i) => {
    if (gradient !== null) return gradient;
    const x = sources[i]!;
    if (unconnectedGradients === "zero") return zerosLike(x);
    throw new FlowError(
      "E_GRADIENT",
      `gradients: no y depends on x ${i} ('${x.opName}', ${textOf(x)}); leave it out, or pass { unconnectedGradients: "zero" }`,
    );
  });
  return Array.isArray(xs) ? found : found[0]!;
}

function floats(what: string, value: Blob | readonly Blob[]): readonly Blob[] {
  const list = value instanceof Blob ? [value] : value;
  requireBlobs("gradients", what, list);
  for (const [i, blob] of list.entries())
    if (!blob.dtype.startsWith("float"))
      throw new FlowError("E_DTYPE", `gradients: ${what}[${i}] is ${textOf(blob)}, expected a floating dtype`);
  return list;
}
