import { FlowError, plainText } from "../core/errors.js";
import { type Shape, sameShape, sizeOf } from "../core/shape.js";
import type { Blob } from "../graph/blob.js";
import { type Extent, extentOf } from "../graph/extent.js";
import { emit, textOf } from "../graph/trace.js";
import { type Named, named, requireBlob, requireList } from "./define.js";
import { add, cast, greaterOp, holds, maximum, minimum, multiply, where } from "./elementwise.js";
import { blankPadding, counting } from "./extent.js";
import { checkIndices, gatherRows, requireIndices, segmentSumOp } from "./indexing.js";
import { changes, orderOf } from "./order.js";
import { concat, range } from "./parts.js";
import { constant } from "./sources.js";
import { reshape } from "./structure.js";

/** What the last axis of `indices` names: slices of an array of some shape. */
interface Slices {
  /** Dimensions of `indices` before the last: one slice for each entry. */
  readonly lead: Shape;
  /** Number of entries. */
  readonly entries: number;
  /** Dimensions of a slice. */
  readonly rest: Shape;
  /** Number of slices in the array. */
  readonly slices: number;
  /** Which slice each entry names, `[entries]`. */
  readonly rows: Blob;
  /** Which entries count, along an axis of `lead`; undefined where all do. */
  readonly extent: Extent | undefined;
}

/** Reads `indices`, each of which must lie within `shape`: E_INDEX fails the step otherwise. */
function slicesOf(op: string, indices: Blob, what: string, shape: Shape, { name }: Named): Slices {
  requireIndices(op, "indices", indices);
  const depth = indices.shape.at(-1)!;
  if (depth > shape.length)
    throw new FlowError(
      "E_SHAPE",
      `${op}: indices are ${textOf(indices)}, expected a last dimension of at most ${shape.length}, the number of axes of ${what}; it says how many of them are indexed`,
    );
  const lead = indices.shape.slice(0, -1);
  const entries = sizeOf(lead);
  const found = extentOf(indices);
  const extent = found !== undefined && found.axis < lead.length ? found : undefined;
  // Padding names slice 0, whatever stands there.
  const clean = blankPadding(indices, extent);
  const table = reshape(clean.dtype === "int8" ? cast(clean, "int32") : clean, [entries, depth]);
  let rows: Blob | undefined;
  for (const [axis, size] of shape.slice(0, depth).entries()) {
    const column = reshape(range(table, 1, axis, 1), [entries]);
    checkIndices(`${op}${name === undefined ? "" : ` '${name}'`}: index of axis ${axis}`, column, size);
    const safe = minimum(maximum(column, 0), size - 1);
    rows = rows === undefined ? safe : add(multiply(rows, size), safe);
  }
  const rest = shape.slice(depth);
  return { lead, entries, rest, slices: sizeOf(shape.slice(0, depth)), rows: rows!, extent };
}

/**
 * The slices of `params` that the last axis of `indices` names: shape `indices[:-1] + params[k:]`, k being the size of that axis.
 * An index outside its axis fails the step with E_INDEX.
 * @flow gather_nd
 * @example
 * ```ts job
 * // params = [[1, 2], [3, 4]]
 * // points: int32 = [[1, 0], [0, 1]]
 * // rows: int32 = [[1], [0]]
 * flow.gatherNd(params, points); // -> [3, 2]
 * flow.gatherNd(params, rows); // -> [[3, 4], [1, 2]]
 * ```
 */
export function gatherNd(params: Blob, indices: Blob, options?: Named): Blob {
  const last = named("gatherNd", options);
  requireBlob("gatherNd", "params", params);
  const { lead, rest, slices, rows, extent } = slicesOf("gatherNd", indices, textOf(params), params.shape, last);
  const taken = gatherRows(reshape(params, [slices, ...rest]), rows);
  const shape = [...lead, ...rest];
  const plain = reshape(taken, shape.length === 0 ? [1] : shape, extent === undefined ? last : {});
  return blankPadding(plain, extent, last);
}

/** `updates` as `[entries, ...rest]`, checked. */
function updatesOf(op: string, updates: Blob, { lead, entries, rest }: Slices, indices: Blob, what: string): Blob {
  requireBlob(op, "updates", updates);
  const expected = lead.length + rest.length === 0 ? [1] : [...lead, ...rest];
  if (!sameShape(updates.shape, expected))
    throw new FlowError(
      "E_SHAPE",
      `${op}: updates are ${textOf(updates)}, expected [${expected.join(",")}]: the dimensions of the indices ${textOf(indices)} but the last, then those of ${what} that are not indexed`,
    );
  return reshape(updates, [entries, ...rest]);
}

/** `data` where `chosen` (`[entries]`) is true, else 0. */
const only = (chosen: Blob, data: Blob): Blob =>
  where(reshape(chosen, [data.shape[0]!, ...data.shape.slice(1).map(() => 1)]), data, 0);

/** Which entries count, `[entries]`; undefined where all do. */
function countingEntries(indices: Blob, { entries, lead, extent }: Slices): Blob | undefined {
  if (extent === undefined) return undefined;
  const each = counting(indices, extent);
  const ones = constant(1, { dtype: "int32", shape: [...lead, 1] });
  return holds(greaterOp, reshape(where(each, ones, 0), [entries]), 0);
}

/** The sums of `data` by slice: `[slices, ...rest]`. */
function sums(data: Blob, { rows, slices }: Slices): Blob {
  return emit(segmentSumOp, [data, rows], { segments: slices });
}

/**
 * Zeros of `shape` to which `updates` are added at the places that the last axis of `indices` names; what is named twice gets
 * both. Updates have the shape `indices[:-1] + shape[k:]`, k being the size of that axis. An index outside its axis fails the
 * step with E_INDEX.
 * @flow scatter_nd
 * @example
 * ```ts job
 * // indices: int32 = [[1], [3], [1]]
 * // updates = [1, 2, 4]
 * flow.scatterNd(indices, updates, [5]); // -> [0, 5, 0, 2, 0]
 * ```
 */
export function scatterNd(indices: Blob, updates: Blob, shape: Shape, options?: Named): Blob {
  const last = named("scatterNd", options);
  requireList("scatterNd", "shape", shape);
  if (shape.length === 0 || !shape.every((d) => Number.isInteger(d) && d > 0))
    throw new FlowError(
      "E_SHAPE",
      `scatterNd: shape is ${plainText(shape)}, expected an array of at least one positive integer`,
    );
  return reshape(added("scatterNd", indices, updates, `the shape [${shape.join(",")}]`, shape, last), shape, last);
}

function added(op: string, indices: Blob, updates: Blob, what: string, shape: Shape, last: Named): Blob {
  const slices = slicesOf(op, indices, what, shape, last);
  const data = updatesOf(op, updates, slices, indices, what);
  const entries = countingEntries(indices, slices);
  return sums(entries === undefined ? data : only(entries, data), slices);
}

function requireSameDtype(op: string, params: Blob, updates: Blob): void {
  requireBlob(op, "params", params);
  requireBlob(op, "updates", updates);
  if (params.dtype !== updates.dtype)
    throw new FlowError(
      "E_DTYPE",
      `${op}: params are ${textOf(params)}, updates are ${textOf(updates)}, expected equal dtypes; flow.cast one of them`,
    );
}

/**
 * `params` to which `updates` are added at the places that the last axis of `indices` names, as by `scatterNd`.
 * @flow tensor_scatter_nd_add
 * @example
 * ```ts job
 * // params = [1, 1, 1]
 * // indices: int32 = [[2], [0], [2]]
 * // updates = [1, 2, 4]
 * flow.tensorScatterNdAdd(params, indices, updates); // -> [3, 1, 6]
 * ```
 */
export function tensorScatterNdAdd(params: Blob, indices: Blob, updates: Blob, options?: Named): Blob {
  const op = "tensorScatterNdAdd";
  const last = named(op, options);
  requireSameDtype(op, params, updates);
  return add(params, reshape(added(op, indices, updates, textOf(params), params.shape, last), params.shape), last);
}

/**
 * `params` with `updates` in the places that the last axis of `indices` names; of updates of one place the last counts, on every
 * engine, and it alone gets the gradient. Shapes are those of `scatterNd`.
 * @flow tensor_scatter_nd_update
 * @example
 * ```ts job
 * // params = [1, 1, 1]
 * // indices: int32 = [[2], [0], [2]]
 * // updates = [3, 2, 4]
 * flow.tensorScatterNdUpdate(params, indices, updates); // -> [2, 1, 4]
 * ```
 */
export function tensorScatterNdUpdate(params: Blob, indices: Blob, updates: Blob, options?: Named): Blob {
  const op = "tensorScatterNdUpdate";
  const last = named(op, options);
  requireSameDtype(op, params, updates);
  const slices = slicesOf(op, indices, textOf(params), params.shape, last);
  const data = updatesOf(op, updates, slices, indices, textOf(params));
  const winners = lastOfEach(slices, countingEntries(indices, slices));
  const hit = holds(greaterOp, sums(winners, slices), 0);
  const old = reshape(params, [slices.slices, ...slices.rest]);
  const wide = reshape(hit, [slices.slices, ...slices.rest.map(() => 1)]);
  return reshape(where(wide, sums(only(holds(greaterOp, winners, 0), data), slices), old), params.shape, last);
}

/** int32 ones for the entries that no later one of the same slice follows, else zeros; entries that do not count have none. */
function lastOfEach({ rows, entries, slices }: Slices, counts: Blob | undefined): Blob {
  const one = constant(1, { dtype: "int32" });
  if (entries === 1) return counts === undefined ? one : where(counts, one, 0);
  // What does not count names a slice behind the last.
  const known = counts === undefined ? rows : where(counts, rows, slices);
  const order = orderOf(known);
  const sorted = gatherRows(known, order);
  const ends = concat([changes(sorted), one]);
  // Back in the given order: each sum has one term.
  const last = emit(segmentSumOp, [ends, order], { segments: entries });
  return counts === undefined ? last : where(counts, last, 0);
}
