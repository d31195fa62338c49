import { checkOptions, FlowError, plainText } from "../core/errors.js";
import { broadcastShapes, type Shape, sameShape, sizeOf } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { elementwise, extentOf, limit } from "../graph/extent.js";
import { emit, textOf } from "../graph/trace.js";
import { type Named, named, nameOf, normalizeAxis, op, requireBlob, requireBlobs, requireList } from "./define.js";
import { multiply } from "./elementwise.js";

// --- shape ---------------------------------------------------------------------------------------------------------

/**
 * The same elements in C order under another shape; one dimension may be -1.
 * @flow reshape
 * @example
 * ```ts job
 * // x = [[1, 2, 3], [4, 5, 6]]
 * flow.reshape(x, [3, -1]); // -> [[1, 2], [3, 4], [5, 6]]
 * ```
 */
export function reshape(x: Blob, shape: Shape, options?: Named): Blob {
  return emit(reshapeOp, [x], { shape: resolveShape("reshape", x, shape) }, nameOf("reshape", options));
}
export const reshapeOp = op("reshape", {
  infer: ([x], { shape }: { readonly shape: Shape }): BlobType => ({ dtype: x!.dtype, shape }),
  grad: ({ inputs: [x], dy }) => [reshape(dy, x!.shape)],
});

function resolveShape(where: string, x: Blob, shape: Shape): Shape {
  requireBlob(where, "x", x);
  requireList(where, "shape", shape);
  const text = `${where}: cannot give ${textOf(x)} the shape ${plainText(shape)}`;
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

/** `x` under the shape of `like`, which has as many elements. (v0.2 let no gradient through.)  @flow reshape_like */
export function reshapeLike(x: Blob, like: Blob, options?: Named): Blob {
  const last = named("reshapeLike", options);
  requireBlob("reshapeLike", "x", x);
  requireBlob("reshapeLike", "like", like);
  if (sizeOf(x.shape) !== sizeOf(like.shape))
    throw new FlowError(
      "E_SHAPE",
      `reshapeLike: x is ${textOf(x)} of ${sizeOf(x.shape)} elements, like is ${textOf(like)} of ${sizeOf(like.shape)}; they must have as many`,
    );
  return reshape(x, like.shape, last);
}

/**
 * `reshape` that keeps what counts of a blob whose size depends on values: where only the first n rows of `x` count, so do the
 * rows of the result that their elements fill. Rows of the result must fill rows of `x`, or parts of one, exactly.
 * @flow dynamic_reshape
 * @example
 * ```ts job
 * // x = [0, 5, 0, 7]
 * flow.dynamicReshape(flow.argwhere(x), [-1]); // -> [1, 3]
 * ```
 */
export function dynamicReshape(x: Blob, shape: Shape, options?: Named): Blob {
  const last = named("dynamicReshape", options);
  const reshaped = emit(reshapeOp, [x], { shape: resolveShape("dynamicReshape", x, shape) }, last.name);
  const extent = extentOf(x);
  if (extent === undefined) return reshaped;
  const [from, to] = [sizeOf(x.shape.slice(1)), sizeOf(reshaped.shape.slice(1))];
  if (extent.axis !== 0 || from % to !== 0)
    throw new FlowError(
      "E_SHAPE",
      `dynamicReshape: cannot give ${textOf(x)} the shape [${shape.join(",")}]: how much of it counts along axis ${extent.axis} depends on values, and its ${extent.axis === 0 ? `rows of ${from} elements do not hold whole rows of ${to}` : "rows are not whole"}; give a shape whose rows are parts of its rows`,
    );
  return limit(reshaped, 0, from === to ? extent.count : multiply(extent.count, from / to));
}

/** Options of `transpose`. */
export interface TransposeOptions extends Named {
  /** Where each axis of the result comes from; required, a permutation of all axes. */
  readonly perm?: readonly number[];
}

/**
 * The axes of `x` in the order `perm`.
 * @flow transpose
 * @example
 * ```ts job
 * // x = [[1, 2, 3], [4, 5, 6]]
 * flow.transpose(x, { perm: [1, 0] }); // -> [[1, 4], [2, 5], [3, 6]]
 * ```
 */
export function transpose(x: Blob, options: TransposeOptions = {}): Blob {
  const { perm, name } = checkOptions("transpose", options, ["perm", "name"]);
  if (perm === undefined) throw new FlowError("E_ARGUMENT", "transpose: perm is missing; pass { perm: [1, 0] }");
  requireList("transpose", "perm", perm);
  return emit(transposeOp, [x], { perm }, name);
}
export const transposeOp = op("transpose", {
  infer: ([x], { perm }: { readonly perm: readonly number[] }): BlobType => {
    const rank = x!.shape.length;
    if (perm.length !== rank || !Array.from({ length: rank }, (_, i) => i).every((axis) => perm.includes(axis))) {
      throw new FlowError(
        "E_ARGUMENT",
        `transpose: perm ${plainText(perm)} is no permutation of the ${rank} axes of ${textOf(x!)}`,
      );
    }
    return { dtype: x!.dtype, shape: perm.map((axis) => x!.shape[axis]!) };
  },
  grad: ({ dy, attrs: { perm } }) => [transpose(dy, { perm: invert(perm) })],
  axisOf: (axis, _, { perm }) => perm.indexOf(axis),
});

const invert = (perm: readonly number[]): number[] => perm.map((_, axis) => perm.indexOf(axis));

/**
 * `x` repeated along its unit (or missing leading) dimensions up to `shape`.
 * @example
 * ```ts job
 * // x = [[1], [2]]
 * flow.broadcastTo(x, [2, 2]); // -> [[1, 1], [2, 2]]
 * ```
 */
export function broadcastTo(x: Blob, shape: Shape, options?: Named): Blob {
  const name = nameOf("broadcastTo", options);
  requireBlob("broadcastTo", "x", x);
  requireList("broadcastTo", "shape", shape);
  return sameShape(x.shape, shape) ? x : emit(broadcastToOp, [x], { shape }, name);
}
export const broadcastToOp = op("broadcastTo", {
  infer: ([x], { shape }: { readonly shape: Shape }): BlobType => {
    const result = broadcastShapes(x!.shape, shape);
    if ("conflict" in result || !sameShape(result.shape, shape))
      throw new FlowError(
        "E_SHAPE",
        `broadcastTo: cannot broadcast ${textOf(x!)} to ${plainText(shape)}: from the last on, its dimensions must be equal or 1`,
      );
    return { dtype: x!.dtype, shape };
  },
  // The driver sums the cotangent over the repeated axes.
  grad: ({ dy }) => [dy],
  axisOf: elementwise,
});

/** The input under another name.  @flow identity */
export function identity(x: Blob, options?: Named): Blob {
  return emit(identityOp, [x], {}, nameOf("identity", options));
}
export const identityOp = op("identity", { infer: ([x]) => x!, grad: ({ dy }) => [dy], axisOf: elementwise });

/**
 * The inputs, at least two, each under a name of its own: `<name>-0`, `<name>-1`, ...
 * @flow identity_n
 * @example
 * ```ts job
 * // x = [1, 2]
 * // y = [3]
 * flow.identityN([x, y]); // -> [[1, 2], [3]]
 * ```
 */
export function identityN(inputs: readonly Blob[], options?: Named): readonly Blob[] {
  const name = nameOf("identityN", options);
  requireBlobs("identityN", "inputs", inputs);
  if (inputs.length < 2)
    throw new FlowError("E_ARGUMENT", "identityN: got 1 input, expected at least 2; flow.identity takes one");
  return inputs.map((x, i) => emit(identityOp, [x], {}, name === undefined ? undefined : `${name}-${i}`));
}

/** The input for somebody who looks on: rewrites take it for no use, so that looking changes no result, to the bit. */
export function observe(x: Blob): Blob {
  return emit(observeOp, [x], {});
}
export const observeOp = op("observe", { infer: ([x]) => x!, grad: ({ dy }) => [dy], axisOf: elementwise });

/**
 * `x`, known only when `dy` is. What is computed from it is computed then, and is never merged with the same computed from `x`,
 * so that the memory of the latter can be given back before.
 */
export function later(x: Blob, dy: Blob): Blob {
  return emit(laterOp, [x, dy], {});
}
export const laterOp = op("later", { infer: ([x]) => x!, grad: ({ dy }) => [dy, null] });

// --- unit dimensions -----------------------------------------------------------------------------------------------

/** Options of `squeeze`. */
export interface SqueezeOptions extends Named {
  /** Dimensions to drop, each of size 1; all of that size where left out. */
  readonly axis?: readonly number[];
}

/**
 * Drops dimensions of size 1; what would have none left is `[1]`.
 * @flow squeeze
 * @example
 * ```ts job
 * // x = [[[1], [2]]]
 * flow.squeeze(x); // -> [1, 2]
 * flow.squeeze(x, { axis: [0] }).shape; // -> [2, 1]
 * ```
 */
export function squeeze(input: Blob, options: SqueezeOptions = {}): Blob {
  const { axis, name } = checkOptions("squeeze", options, ["axis", "name"]);
  requireBlob("squeeze", "input", input);
  if (axis !== undefined) requireList("squeeze", "axis", axis);
  const rank = input.shape.length;
  const axes =
    axis?.map((a) => normalizeAxis("squeeze", rank, a)) ?? input.shape.flatMap((d, i) => (d === 1 ? [i] : []));
  const wide = axes.find((a) => input.shape[a] !== 1);
  if (wide !== undefined)
    throw new FlowError("E_SHAPE", `squeeze: dimension ${wide} of ${textOf(input)} is not 1; leave it out of axis`);
  const shape = input.shape.filter((_, i) => !axes.includes(i));
  return reshape(input, shape.length === 0 ? [1] : shape, name === undefined ? {} : { name });
}

/**
 * A dimension of size 1 put in before `axis`, which lies in [-(rank + 1), rank].
 * @flow expand_dims
 * @example
 * ```ts job
 * // x = [1, 2]
 * flow.expandDims(x, 1); // -> [[1], [2]]
 * ```
 */
export function expandDims(input: Blob, axis: number, options?: Named): Blob {
  const last = named("expandDims", options);
  requireBlob("expandDims", "input", input);
  const at = normalizeAxis("expandDims", input.shape.length + 1, axis);
  return reshape(input, [...input.shape.slice(0, at), 1, ...input.shape.slice(at)], last);
}

// --- repetition ----------------------------------------------------------------------------------------------------

/** Options of `broadcastLike`. */
export interface BroadcastLikeOptions extends Named {
  /** The dimensions of `like` along which `x` is repeated; all where left out. */
  readonly broadcastAxes?: readonly number[];
}

/**
 * `x` repeated to the shape of `like`. With `broadcastAxes`, x has the other dimensions of `like`, in order, with or without
 * ones in between. (v0.2 let no gradient through.)  @flow broadcast_like
 */
export function broadcastLike(x: Blob, like: Blob, options: BroadcastLikeOptions = {}): Blob {
  const { broadcastAxes, name } = checkOptions("broadcastLike", options, ["broadcastAxes", "name"]);
  requireBlob("broadcastLike", "x", x);
  requireBlob("broadcastLike", "like", like);
  const last = name === undefined ? {} : { name };
  if (broadcastAxes === undefined) {
    const common = broadcastShapes(x.shape, like.shape);
    if ("conflict" in common || !sameShape(common.shape, like.shape))
      throw new FlowError(
        "E_SHAPE",
        `broadcastLike: cannot broadcast ${textOf(x)} to ${textOf(like)}: from the last on, its dimensions must be equal or 1`,
      );
    return broadcastTo(x, like.shape, last);
  }
  requireList("broadcastLike", "broadcastAxes", broadcastAxes);
  const axes = broadcastAxes.map((axis) => normalizeAxis("broadcastLike", like.shape.length, axis));
  const kept = like.shape.map((d, i) => (axes.includes(i) ? 1 : d));
  const others = kept.filter((_, i) => !axes.includes(i));
  if (!sameShape(x.shape, kept) && !sameShape(x.shape, others.length === 0 ? [1] : others))
    throw new FlowError(
      "E_SHAPE",
      `broadcastLike: x is ${textOf(x)}, expected [${others.join(",")}] or [${kept.join(",")}], the shape of ${textOf(like)} without the axes [${axes.join(",")}]`,
    );
  return broadcastTo(reshape(x, kept), like.shape, last);
}

/**
 * `x` repeated to the common shape of itself and of all blobs in `compatible`, by numpy broadcasting.
 * @flow broadcast_to_compatible_with @flow math.broadcast_to_compatible_with
 * @example
 * ```ts job
 * // x = [[1], [2]]
 * // y = [0, 0]
 * flow.broadcastToCompatibleWith(x, [y]); // -> [[1, 1], [2, 2]]
 * ```
 */
export function broadcastToCompatibleWith(x: Blob, compatible: readonly Blob[], options?: Named): Blob {
  const where = "broadcastToCompatibleWith";
  const last = named(where, options);
  requireBlob(where, "x", x);
  requireBlobs(where, "compatible", compatible);
  const shape = compatible.reduce<Shape>((common, blob) => {
    const result = broadcastShapes(common, blob.shape);
    if ("conflict" in result)
      throw new FlowError(
        "E_SHAPE",
        `${where}: cannot broadcast ${textOf(x)} with ${compatible.map(textOf).join(", ")}: [${common.join(",")}] and [${blob.shape.join(",")}] differ in dimension ${result.conflict}; equal dimensions or 1 fit`,
      );
    return result.shape;
  }, x.shape);
  return broadcastTo(x, shape, last);
}

/**
 * `x` laid out `reps[i]` times along each axis i.
 * @example
 * ```ts job
 * // x = [[1, 2]]
 * flow.tile(x, [2, 2]); // -> [[1, 2, 1, 2], [1, 2, 1, 2]]
 * ```
 */
export function tile(x: Blob, reps: readonly number[], options?: Named): Blob {
  const last = named("tile", options);
  requireBlob("tile", "x", x);
  requireList("tile", "reps", reps);
  if (reps.length !== x.shape.length || !reps.every((n) => Number.isInteger(n) && n > 0))
    throw new FlowError(
      "E_ARGUMENT",
      `tile: reps is ${plainText(reps)}, expected a positive integer for each axis of ${textOf(x)}`,
    );
  const split = reshape(
    x,
    x.shape.flatMap((d) => [1, d]),
  );
  const repeated = broadcastTo(
    split,
    x.shape.flatMap((d, i) => [reps[i]!, d]),
  );
  return reshape(
    repeated,
    x.shape.map((d, i) => d * reps[i]!),
    last,
  );
}
