import type { DType } from "../core/dtype.js";
import { checkOptions, FlowError, plainText } from "../core/errors.js";
import { sizeOf } from "../core/shape.js";
import type { Blob } from "../graph/blob.js";
import { type Extent, extentOf, limit } from "../graph/extent.js";
import { type Named, normalizeAxes, requireBlob } from "./define.js";
import { cast, holds, lessOp, multiply, where } from "./elementwise.js";
import { constant, iota } from "./sources.js";

/** Bools of shape `[d, 1, ...]` that broadcast against `x`: whether an entry along the axis of an extent of `x` counts. */
export function counting(x: Blob, { axis, count }: Extent): Blob {
  const shape = x.shape.slice(axis).map((d, i) => (i === 0 ? d : 1));
  return holds(lessOp, iota(shape, 0, count.dtype), count);
}

/** `x` with 0 in what an extent leaves out, and that extent; `x` itself where there is none. */
export function blankPadding(x: Blob, extent: Extent | undefined, last: Named = {}): Blob {
  if (extent === undefined) return x;
  return limit(where(counting(x, extent), x, 0, last), extent.axis, extent.count);
}

/** Options of `elemCnt`. */
export interface ElemCntOptions extends Named {
  /** An integer or floating dtype; default int32. */
  readonly dtype?: DType;
}

/**
 * How many elements a blob has, shape `[1]`; of one whose size depends on values, how many count.
 * @flow elem_cnt
 * @example
 * ```ts job
 * // x = [[0, 5], [6, 7]]
 * flow.elemCnt(x); // -> [4]
 * flow.elemCnt(flow.argwhere(x)); // -> [6]
 * ```
 */
export function elemCnt(inputs: Blob, options: ElemCntOptions = {}): Blob {
  const { dtype = "int32", name } = checkOptions("elemCnt", options, ["dtype", "name"]);
  requireBlob("elemCnt", "inputs", inputs);
  const axes = inputs.shape.map((_, axis) => axis);
  return countAlong("elemCnt", inputs, axes, dtype, name);
}

/** Options of `reducedShapeElemCnt`. */
export interface ReducedShapeElemCntOptions extends ElemCntOptions {
  /** Axis or axes; every axis where left out. */
  readonly axis?: number | readonly number[];
}

/**
 * How many elements a reduction over `axis` puts into one: the product of those dimensions, shape `[1]`; where a dimension depends
 * on values, as many as count.
 * @flow math.reduced_shape_elem_cnt
 * @example
 * ```ts job
 * // x = [[1, 2, 3], [4, 5, 6]]
 * flow.math.reducedShapeElemCnt(x, { axis: 1 }); // -> [3]
 * ```
 */
export function reducedShapeElemCnt(inputBlob: Blob, options: ReducedShapeElemCntOptions = {}): Blob {
  const where = "reducedShapeElemCnt";
  const { axis, dtype = "int32", name } = checkOptions(where, options, ["axis", "dtype", "name"]);
  requireBlob(where, "inputBlob", inputBlob);
  return countAlong(where, inputBlob, normalizeAxes(where, inputBlob, axis), dtype, name);
}

function countAlong(where: string, x: Blob, axes: readonly number[], dtype: DType, name: string | undefined): Blob {
  if (!["float32", "float64", "int8", "uint8", "int32", "int64"].includes(dtype))
    throw new FlowError(
      "E_DTYPE",
      `${where}: dtype is ${plainText(dtype)}, expected int32, int64 or another dtype of numbers`,
    );
  const last = name === undefined ? {} : { name };
  const extent = extentOf(x);
  const counted = extent !== undefined && axes.includes(extent.axis);
  const rest = sizeOf(axes.map((axis) => (counted && axis === extent.axis ? 1 : x.shape[axis]!)));
  return counted ? multiply(cast(extent.count, dtype), rest, last) : constant(rest, { dtype, ...last });
}
