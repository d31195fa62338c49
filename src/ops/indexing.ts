import type { DType } from "../core/dtype.js";
import { checkOptions, FlowError, plainText } from "../core/errors.js";
import { broadcastShapes, sameShape, sizeOf } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { extentOf } from "../graph/extent.js";
import { emit, emitCheck, textOf } from "../graph/trace.js";
import { type Named, named, nameOf, normalizeAxis, op, requireBlob, requireNumber } from "./define.js";
import { add, equalOp, holds, lessEqualOp, maximum, minimum, multiply, where } from "./elementwise.js";
import { blankPadding } from "./extent.js";
import { range } from "./parts.js";
import { reducedShape, reduceMax, reduceMin } from "./reduce.js";
import { constant, iota, scalarLike } from "./sources.js";
import { reshape, transpose } from "./structure.js";

/** Fails the step with E_INDEX unless every index lies in [0, count). */
export function checkIndices(
  what: string,
  indices: Blob,
  count: number,
  code: "E_INDEX" | "E_LABEL" = "E_INDEX",
): void {
  // A few numbers that were fed are looked at one by one, which takes less than two reductions.
  const few = indices.node.op === "placeholder" && sizeOf(indices.shape) <= 1024;
  for (const blob of few ? [indices] : [reduceMin(indices), reduceMax(indices)])
    emitCheck({ blob, low: 0, high: count - 1, what, code });
}

/** E_DTYPE unless an argument is a Blob of integers that can index. */
export function requireIndices(where: string, name: string, x: Blob): void {
  requireBlob(where, name, x);
  if (!["int32", "int64", "int8"].includes(x.dtype))
    throw new FlowError("E_DTYPE", `${where}: ${name} are ${textOf(x)}, expected int32 or int64`);
}

// --- order ---------------------------------------------------------------------------------------------------------

/**
 * Index of the first maximum of the last axis, int32; a rank-1 input gives `[1]`.
 * @flow math.argmax
 * @example
 * ```ts job
 * // x = [[1, 3, 2], [5, 5, 4]]
 * flow.math.argmax(x); // -> [1, 0]
 * ```
 */
export function argmax(x: Blob, options?: Named): Blob {
  requireBlob("argmax", "x", x);
  return emit(argmaxOp, [x], { axis: normalizeAxis("argmax", x.shape.length, -1) }, nameOf("argmax", options));
}
export const argmaxOp = op("argmax", {
  infer: ([x], { axis }: { readonly axis: number }): BlobType => ({
    dtype: "int32",
    shape: reducedShape(x!.shape, { axes: [axis], keepDims: false }),
  }),
  grad: "stop",
});

/** Options of `topK`. */
export interface TopKOptions extends Named {
  /** Default 1; cut to the size of the axis. */
  readonly k?: number;
  /** Accepted as documented: the indices are always in the order of their values. */
  readonly sorted?: boolean;
}

/**
 * Indices, int32, of the `k` largest elements along the last axis, largest first, of equals the lower index first.
 * @flow math.top_k
 * @example
 * ```ts job
 * // x = [[1, 3, 2], [5, 5, 4]]
 * flow.math.topK(x, { k: 2 }); // -> [[1, 2], [0, 1]]
 * ```
 */
export function topK(input: Blob, options: TopKOptions = {}): Blob {
  const { k = 1, name } = checkOptions("topK", options, ["k", "sorted", "name"]);
  requireBlob("topK", "input", input);
  if (!Number.isInteger(k) || k < 1)
    throw new FlowError("E_ARGUMENT", `topK: k is ${plainText(k)}, expected a positive integer`);
  return emit(topKOp, [input], { k: Math.min(k, input.shape.at(-1)!) }, name);
}
export const topKOp = op("topK", {
  infer: ([x], { k }: { readonly k: number }): BlobType => ({ dtype: "int32", shape: [...x!.shape.slice(0, -1), k] }),
  grad: "stop",
});

// --- reading -------------------------------------------------------------------------------------------------------

/** Options of `gather`. */
export interface GatherOptions extends Named {
  /** The axis of `params` that is indexed; default `batchDims`. */
  readonly axis?: number;
  /** Leading dimensions that params and indices share; default 0. Other than 0, it must equal `axis`. */
  readonly batchDims?: number;
}

/**
 * Slices of `params` along `axis`, one for each index: shape `params[:axis] + indices + params[axis + 1:]`, with the
 * shared dimensions once. An index outside the axis fails the step with E_INDEX (v0.2 gave zeros).
 * @flow gather
 * @example
 * ```ts job
 * // params = [[1, 2], [3, 4], [5, 6]]
 * // indices: int32 = [2, 0]
 * // columns: int32 = [1, 0]
 * flow.gather(params, indices); // -> [[5, 6], [1, 2]]
 * flow.gather(params, columns, { axis: 1 }); // -> [[2, 1], [4, 3], [6, 5]]
 * ```
 */
export function gather(params: Blob, indices: Blob, options: GatherOptions = {}): Blob {
  const { axis, batchDims = 0, name } = checkOptions("gather", options, ["axis", "batchDims", "name"]);
  requireBlob("gather", "params", params);
  requireIndices("gather", "indices", indices);
  const at = normalizeAxis("gather", params.shape.length, axis ?? batchDims);
  if (batchDims !== 0 && at !== batchDims)
    throw new FlowError(
      "E_ARGUMENT",
      `gather: axis is ${at} and batchDims is ${plainText(batchDims)}, expected equal ones or batchDims 0`,
    );
  const batch = params.shape.slice(0, batchDims);
  if (!sameShape(batch, indices.shape.slice(0, batchDims)))
    throw new FlowError(
      "E_SHAPE",
      `gather: params are ${textOf(params)} and indices ${textOf(indices)}, expected equal first ${batchDims} dimensions`,
    );
  const count = params.shape[at]!;
  const extent = batchDims === 0 ? extentOf(indices) : undefined;
  const clean = blankPadding(indices, extent);
  checkIndices(name === undefined ? "gather: index" : `gather '${name}': index`, clean, count);
  // Engines never see an index out of range: the check tells of it, in the same way everywhere.
  const safe = minimum(maximum(clean, 0), count - 1);
  if (extent !== undefined) {
    const taken = emit(gatherOp, [params, safe], { axis: at });
    return blankPadding(taken, { ...extent, axis: at + extent.axis }, name === undefined ? {} : { name });
  }
  if (batchDims === 0) return emit(gatherOp, [params, safe], { axis: at }, name);
  const groups = sizeOf(batch);
  const rows = reshape(params, [groups * count, ...params.shape.slice(batchDims + 1)]);
  const offsets = multiply(iota([groups, 1], 0, indices.dtype), count);
  const flat = add(reshape(safe, [groups, sizeOf(indices.shape) / groups]), offsets);
  const taken = gatherRows(rows, reshape(flat, indices.shape), name);
  return taken;
}
/** The rows of `x` that `rows`, known to lie within it, name: `gather` on axis 0 without its checks. */
export const gatherRows = (x: Blob, rows: Blob, name?: string): Blob => emit(gatherOp, [x, rows], { axis: 0 }, name);
export const gatherOp = op("gather", {
  infer: ([params, indices], { axis }: { readonly axis: number }): BlobType => ({
    dtype: params!.dtype,
    shape: [...params!.shape.slice(0, axis), ...indices!.shape, ...params!.shape.slice(axis + 1)],
  }),
  grad: ({ inputs: [params, indices], dy, attrs: { axis } }) => [
    sumInto(dy, indices!, params!.shape[axis]!, axis),
    null,
  ],
  axisOf: (axis, input, attrs, output, index) => {
    if (index === 1) return attrs.axis + axis;
    if (axis === attrs.axis) return undefined;
    return axis < attrs.axis ? axis : output.shape.length - input.shape.length + axis;
  },
});

/** Options of `oneHot`. */
export interface OneHotOptions extends Named {
  /** Default 1. */
  readonly onValue?: number;
  /** Default 0. */
  readonly offValue?: number;
  /** Where the new axis stands in the result; default the end. */
  readonly axis?: number;
  /** Default float32. */
  readonly dtype?: DType;
}

/**
 * `onValue` at each index along a new axis of size `depth`, else `offValue`. An index outside fails the step with
 * E_INDEX.
 * @flow one_hot
 * @example
 * ```ts job
 * // labels: int32 = [2, 0]
 * flow.oneHot(labels, 3); // -> [[0, 0, 1], [1, 0, 0]]
 * ```
 */
export function oneHot(indices: Blob, depth: number, options: OneHotOptions = {}): Blob {
  const known = ["onValue", "offValue", "axis", "dtype", "name"];
  const { onValue = 1, offValue = 0, axis = -1, dtype = "float32", name } = checkOptions("oneHot", options, known);
  requireIndices("oneHot", "indices", indices);
  if (!Number.isInteger(depth) || depth < 1)
    throw new FlowError("E_ARGUMENT", `oneHot: depth is ${plainText(depth)}, expected a positive integer`);
  requireNumber("oneHot", "onValue", onValue);
  requireNumber("oneHot", "offValue", offValue);
  const at = normalizeAxis("oneHot", indices.shape.length + 1, axis);
  checkIndices(name === undefined ? "oneHot: index" : `oneHot '${name}': index`, indices, depth);
  const hit = holds(
    equalOp,
    reshape(indices, [...indices.shape.slice(0, at), 1, ...indices.shape.slice(at)]),
    iota([depth, ...indices.shape.slice(at).map(() => 1)], 0, indices.dtype),
  );
  return where(hit, constant(onValue, { dtype }), constant(offValue, { dtype }), name === undefined ? {} : { name });
}

// --- masks ---------------------------------------------------------------------------------------------------------

/**
 * `value` where `mask` is not 0, else `x`; broadcast.
 * @flow masked_fill
 * @example
 * ```ts job
 * // x = [1, 2, 3]
 * flow.maskedFill(x, x.greater(2), -1); // -> [1, 2, -1]
 * ```
 */
export function maskedFill(x: Blob, mask: Blob, value: number, options?: Named): Blob {
  requireBlob("maskedFill", "x", x);
  requireBlob("maskedFill", "mask", mask);
  if ("conflict" in broadcastShapes(x.shape, mask.shape))
    throw new FlowError(
      "E_SHAPE",
      `maskedFill: cannot broadcast ${textOf(x)} with the mask ${textOf(mask)}: from the last on, dimensions must be equal or 1`,
    );
  requireNumber("maskedFill", "value", value);
  return where(mask, value, x, named("maskedFill", options));
}

/** Options of `tril`. */
export interface TrilOptions extends Named {
  /** Default 0; above 0 more is kept. */
  readonly diagonal?: number;
}

/**
 * The lower triangle of the last two axes: 0 where column > row + `diagonal`.
 * @flow math.tril @flow nn.tril
 * @example
 * ```ts job
 * // x = [[1, 2], [3, 4]]
 * flow.math.tril(x); // -> [[1, 0], [3, 4]]
 * ```
 */
export function tril(x: Blob, options: TrilOptions = {}): Blob {
  const { diagonal = 0, name } = checkOptions("tril", options, ["diagonal", "name"]);
  requireBlob("tril", "x", x);
  if (x.shape.length < 2) throw new FlowError("E_SHAPE", `tril: x is ${textOf(x)}, expected a rank of at least 2`);
  if (!Number.isInteger(diagonal))
    throw new FlowError("E_ARGUMENT", `tril: diagonal is ${plainText(diagonal)}, expected an integer`);
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const kept = holds(lessEqualOp, iota([1, columns], 1, "int32"), add(iota([rows, 1], 0, "int32"), diagonal));
  return where(kept, x, scalarLike(0, x), name === undefined ? {} : { name });
}

// --- sums by index -------------------------------------------------------------------------------------------------

/** E_ARGUMENT unless a number of segments is one. */
function requireSegments(where: string, numSegments: number): void {
  if (!Number.isInteger(numSegments) || numSegments < 1)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: numSegments is ${plainText(numSegments)}, expected a positive integer`,
    );
}

/** Options of `unsortedSegmentSum` and `unsortedSegmentSumLike`. */
export interface SegmentOptions extends Named {
  /** The axis of `data` where the ids begin; default 0. */
  readonly axis?: number;
}

/**
 * Sums of the slices of `data` that share a segment id: shape `data[:axis] + [numSegments] + data[axis + rank(ids):]`.
 * Ids have the shape of `data` from `axis` on; one of `numSegments` or more is left out, a negative one fails the step
 * with E_INDEX.
 * @flow math.unsorted_segment_sum @flow unsorted_segment_sum
 * @example
 * ```ts job
 * // data = [1, 2, 3]
 * // ids: int32 = [1, 0, 1]
 * flow.math.unsortedSegmentSum(data, ids, 2); // -> [2, 4]
 * ```
 */
export function unsortedSegmentSum(
  data: Blob,
  segmentIds: Blob,
  numSegments: number,
  options: SegmentOptions = {},
): Blob {
  return segmentSums("unsortedSegmentSum", data, segmentIds, numSegments, options);
}

function segmentSums(text: string, data: Blob, segmentIds: Blob, numSegments: number, options: SegmentOptions): Blob {
  const { axis = 0, name } = checkOptions(text, options, ["axis", "name"]);
  requireBlob(text, "data", data);
  requireIndices(text, "segmentIds", segmentIds);
  requireSegments(text, numSegments);
  const at = normalizeAxis(text, data.shape.length, axis);
  const covered = data.shape.slice(at, at + segmentIds.shape.length);
  if (!sameShape(covered, segmentIds.shape))
    throw new FlowError(
      "E_SHAPE",
      `${text}: segmentIds are ${textOf(segmentIds)}, expected the dimensions of ${textOf(data)} from axis ${at} on`,
    );
  checkIndices(name === undefined ? `${text}: id` : `${text} '${name}': id`, segmentIds, Infinity);
  // Ids that are too large share one segment more, which is cut off.
  const ids = minimum(maximum(segmentIds, 0), numSegments);
  const sums = sumInto(data, ids, numSegments + 1, at);
  const kept = range(sums, at, 0, numSegments);
  return kept;
}

/** The documented variants of `unsortedSegmentSum`: as many segments as `like` has on `axis`.  @flow math.unsorted_segment_sum_like @flow unsorted_segment_sum_like */
export function unsortedSegmentSumLike(data: Blob, segmentIds: Blob, like: Blob, options: SegmentOptions = {}): Blob {
  const text = "unsortedSegmentSumLike";
  const { axis = 0 } = checkOptions(text, options, ["axis", "name"]);
  for (const [what, blob] of Object.entries({ data, segmentIds, like })) requireBlob(text, what, blob);
  return segmentSums(text, data, segmentIds, like.shape[normalizeAxis(text, like.shape.length, axis)]!, options);
}

/**
 * `unsortedSegmentSum` of each row on its own: data and ids share their leading dimensions, ids have no others; shape
 * `ids[:-1] + [numSegments] + data[rank(ids):]`.  @flow math.unsorted_batch_segment_sum @flow unsorted_batch_segment_sum
 */
export function unsortedBatchSegmentSum(data: Blob, segmentIds: Blob, numSegments: number, options?: Named): Blob {
  const text = "unsortedBatchSegmentSum";
  const name = nameOf(text, options);
  requireBlob(text, "data", data);
  requireIndices(text, "segmentIds", segmentIds);
  const rank = segmentIds.shape.length;
  if (rank < 2 || !sameShape(data.shape.slice(0, rank), segmentIds.shape))
    throw new FlowError(
      "E_SHAPE",
      `${text}: segmentIds are ${textOf(segmentIds)}, expected a rank of at least 2 and the first dimensions of ${textOf(data)}`,
    );
  checkIndices(name === undefined ? `${text}: id` : `${text} '${name}': id`, segmentIds, Infinity);
  requireSegments(text, numSegments);
  const batch = segmentIds.shape.slice(0, -1);
  const groups = sizeOf(batch);
  const width = numSegments + 1;
  const ids = minimum(maximum(segmentIds, 0), numSegments);
  const flat = add(
    reshape(ids, [groups, segmentIds.shape.at(-1)!]),
    multiply(iota([groups, 1], 0, segmentIds.dtype), width),
  );
  const rest = data.shape.slice(rank);
  const rows = reshape(data, [sizeOf(segmentIds.shape), ...rest]);
  const sums = reshape(
    emit(segmentSumOp, [rows, reshape(flat, [sizeOf(segmentIds.shape)])], { segments: groups * width }),
    [...batch, width, ...rest],
  );
  return range(sums, rank - 1, 0, numSegments);
}

/** Sums slices of `data` by ids that are known to lie in [0, segments). */
function sumInto(data: Blob, ids: Blob, segments: number, axis: number): Blob {
  const rank = ids.shape.length;
  const count = sizeOf(ids.shape);
  const [lead, rest] = [data.shape.slice(0, axis), data.shape.slice(axis + rank)];
  const flat = [...lead, count, ...rest];
  const first = [lead.length, ...flat.map((_, i) => i).filter((i) => i !== lead.length)];
  const moved = transpose(reshape(data, flat), { perm: first });
  const sums = emit(segmentSumOp, [moved, reshape(ids, [count])], { segments });
  return transpose(sums, { perm: flat.map((_, i) => first.indexOf(i)) });
}

/** Row i of the result is the sum of the rows of `data` whose id is i. */
export const segmentSumOp = op("segmentSum", {
  infer: ([data], { segments }: { readonly segments: number }): BlobType => ({
    dtype: data!.dtype,
    shape: [segments, ...data!.shape.slice(1)],
  }),
  grad: ({ inputs: [, ids], dy }) => [gatherRows(dy, ids!), null],
});
