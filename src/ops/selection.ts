import { checkOptions, FlowError, plainText } from "../core/errors.js";
import { sizeOf } from "../core/shape.js";
import type { Blob, Operand } from "../graph/blob.js";
import { limit } from "../graph/extent.js";
import { emit, textOf } from "../graph/trace.js";
import { type Named, named, requireBlob } from "./define.js";
import { cast, where as choose, divide, multiply, subtract } from "./elementwise.js";
import { blankPadding } from "./extent.js";
import { gatherRows, segmentSumOp, topKOp } from "./indexing.js";
import { changes, orderOf, runningSum } from "./order.js";
import { concat } from "./parts.js";
import { reduceSum } from "./reduce.js";
import { constant } from "./sources.js";
import { reshape, transpose } from "./structure.js";

// Results whose size depends on values have the size they can have at most, and a hidden count of what counts: graph/extent.

/** Dtypes of indices that functions give. */
export type IndexDType = "int32" | "int64";

function requireIndexDType(where: string, option: string, dtype: unknown): void {
  if (dtype !== "int32" && dtype !== "int64")
    throw new FlowError("E_DTYPE", `${where}: ${option} is ${plainText(dtype)}, expected int32 or int64`);
}

/** int32 ones where `x` is not 0, flat. */
function ones(x: Blob): Blob {
  return reshape(cast(x.dtype === "bool" ? x : cast(x, "bool"), "int32"), [sizeOf(x.shape)]);
}

/** The places of the ones in a flat int32 mask, in order, and 0 behind them; `count` is their number. */
export function placesOf(mask: Blob): { readonly places: Blob; readonly count: Blob } {
  const size = mask.shape[0]!;
  const count = reduceSum(mask);
  // Of equals the lower index comes first.
  const order = emit(topKOp, [mask], { k: size });
  return { places: blankPadding(order, { axis: 0, count }), count };
}

/** Options of `argwhere`. */
export interface ArgwhereOptions extends Named {
  /** int32 (the default) or int64. */
  readonly dtype?: IndexDType;
}

/**
 * The indices of the elements that are not 0, in C order: one row for each, `[n, rank]`. Inside the job the result has a row for each
 * element of `condition`; those behind the n-th are 0, and are cut off where it leaves the job.
 * @flow argwhere
 * @example
 * ```ts job
 * // x = [[0, 5], [6, 0]]
 * const places = flow.argwhere(x); // -> [[0, 1], [1, 0]]
 * places.shape; // -> [4, 2]
 * flow.gatherNd(x, places); // -> [5, 6]
 * ```
 */
export function argwhere(condition: Blob, options: ArgwhereOptions = {}): Blob {
  const { dtype = "int32", name } = checkOptions("argwhere", options, ["dtype", "name"]);
  requireBlob("argwhere", "condition", condition);
  requireIndexDType("argwhere", "dtype", dtype);
  const { shape } = condition;
  const { places, count } = placesOf(ones(condition));
  const columns: Blob[] = [];
  let outer: Blob | undefined;
  for (const [axis, size] of shape.entries()) {
    const step = sizeOf(shape.slice(axis + 1));
    const upTo = step === 1 ? places : divide(places, step);
    columns.push(reshape(outer === undefined ? upTo : subtract(upTo, multiply(outer, size)), [sizeOf(shape), 1]));
    outer = upTo;
  }
  const rows = columns.length === 1 ? columns[0]! : concat(columns, { axis: 1 });
  const last = name === undefined ? {} : { name };
  return limit(dtype === "int32" ? reshape(rows, rows.shape, last) : cast(rows, dtype, last), 0, count);
}

/**
 * The transpose of `argwhere`: `[rank, n]`, a column for each element that is not 0, padded and cut off in the same way.
 * @flow nonzero
 * @example
 * ```ts job
 * // x = [[0, 5], [6, 0]]
 * flow.nonzero(x); // -> [[0, 1], [1, 0]]
 * flow.nonzero(x).shape; // -> [2, 4]
 * ```
 */
export function nonzero(a: Blob, options?: Named): Blob {
  const last = named("nonzero", options);
  requireBlob("nonzero", "a", a);
  return transpose(argwhere(a), { perm: [1, 0], ...last });
}

/**
 * `x` where `condition` is not 0, else `y`; all three broadcast. Without x and y, `argwhere(condition)`.
 * @flow where
 * @example
 * ```ts job
 * // x = [-1, 2]
 * flow.where(flow.math.less(x, 0), 0, x); // -> [0, 2]
 * flow.where(flow.math.less(x, 0)); // -> [[0]]
 * ```
 */
export function where(condition: Blob): Blob;
export function where(condition: Blob, x: Operand, y: Operand, options?: Named): Blob;
export function where(condition: Blob, x?: Operand, y?: Operand, options?: Named): Blob {
  if (x !== undefined || y !== undefined) return choose(condition, x as Operand, y as Operand, options);
  requireBlob("where", "condition", condition);
  return argwhere(condition, named("where", options));
}

/** Options of `uniqueWithCounts`. */
export interface UniqueWithCountsOptions extends Named {
  /** dtype of the indices and counts: int32 (the default) or int64. */
  readonly outIdx?: IndexDType;
}

/**
 * Of a rank-1 blob: its distinct values in the order of their first appearance; for each element the index of its value
 * among them; how often each appears; and how many there are, `[1]`. Inside the job, values and counts have the length of `x`; what is
 * behind the last value is 0, and is cut off where they leave the job.
 * @flow experimental.unique_with_counts
 * @example
 * ```ts job
 * // x = [3, 1, 3, 2]
 * const [y, idx, count, numUnique] = flow.experimental.uniqueWithCounts(x);
 * y; // -> [3, 1, 2]
 * idx; // -> [0, 1, 0, 2]
 * count; // -> [2, 1, 1]
 * numUnique; // -> [3]
 * ```
 */
export function uniqueWithCounts(
  x: Blob,
  options: UniqueWithCountsOptions = {},
): readonly [y: Blob, idx: Blob, count: Blob, numUnique: Blob] {
  const text = "uniqueWithCounts";
  const { outIdx = "int32", name } = checkOptions(text, options, ["outIdx", "name"]);
  requireBlob(text, "x", x);
  requireIndexDType(text, "outIdx", outIdx);
  if (x.shape.length !== 1)
    throw new FlowError("E_SHAPE", `${text}: x is ${textOf(x)}, expected rank 1; flow.reshape(x, [-1]) flattens it`);
  if (x.dtype === "bool") throw new FlowError("E_DTYPE", `${text}: x is ${textOf(x)}, expected numbers; flow.cast it`);
  const last = (part: string): Named => (name === undefined ? {} : { name: `${name}-${part}` });
  const size = x.shape[0]!;
  const { first, group, order } = groupsOf(x);
  // Values are numbered by their first element: among the firsts, in the order of x.
  const firsts = emit(segmentSumOp, [first, order], { segments: size });
  const ranks = subtract(runningSum(firsts), 1);
  const rankOfFirst = multiply(first, gatherRows(ranks, order));
  const rankOfGroup = emit(segmentSumOp, [rankOfFirst, group], { segments: size });
  const sortedIdx = gatherRows(rankOfGroup, group);
  const idx = emit(segmentSumOp, [sortedIdx, order], { segments: size });
  const { places, count: numUnique } = placesOf(firsts);
  const extent = { axis: 0, count: numUnique };
  const y = blankPadding(gatherRows(x, places), extent, last("y"));
  const counts = emit(
    segmentSumOp,
    [constant(1, { dtype: outIdx, shape: [size] }), idx],
    { segments: size },
    last("count").name,
  );
  return [
    y,
    reshape(cast(idx, outIdx), [size], last("idx")),
    limit(counts, 0, numUnique),
    reshape(cast(numUnique, outIdx), [1], last("num_unique")),
  ];
}

/** Equal elements of a rank-1 blob. */
interface Groups {
  /** Places of the elements in sorted order, of equals the lower first. */
  readonly order: Blob;
  /** Along that order: 1 where a new value begins, else 0. */
  readonly first: Blob;
  /** Along that order: the number of the value, counted from the least. */
  readonly group: Blob;
}

export function groupsOf(x: Blob): Groups {
  const size = x.shape[0]!;
  const order = orderOf(x);
  const one = constant(1, { dtype: "int32" });
  const sorted = gatherRows(x, order);
  const first = size === 1 ? one : concat([one, changes(sorted)]);
  return { order, first, group: subtract(runningSum(first), 1) };
}
