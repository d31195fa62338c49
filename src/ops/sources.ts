import type { DType } from "../core/dtype.js";
import { checkOptions, FlowError, plainText } from "../core/errors.js";
import { type Shape, sizeOf } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { emit } from "../graph/trace.js";
import { type Named, op, requireBlob, requireList, requireNumber } from "./define.js";

/** Options of `constant`. */
export interface ConstantOptions extends Named {
  /** Element type (required by the documented function). */
  readonly dtype?: DType;
  /** Default `[1]`. */
  readonly shape?: Shape;
}

/**
 * A blob filled with one number.
 * @flow constant
 * @example
 * ```ts job
 * flow.constant(3, { dtype: flow.float, shape: [2] }); // -> [3, 3]
 * ```
 */
export function constant(value: number, options: ConstantOptions = {}): Blob {
  const { dtype, shape = [1], name } = checkOptions("constant", options, ["dtype", "shape", "name"]);
  requireDtype("constant", dtype);
  requireNumber("constant", "value", value);
  requireList("constant", "shape", shape);
  return emit(constantOp, [], { value: finite(value), dtype, shape: shape.length === 0 ? [1] : shape }, name);
}

function requireDtype(where: string, dtype: DType | undefined): asserts dtype is DType {
  if (dtype === undefined) throw new FlowError("E_ARGUMENT", `${where}: dtype is missing; pass { dtype: flow.float }`);
}

/** A blob of shape `[1]`.  @flow constant_scalar */
export function constantScalar(value: number, options: Omit<ConstantOptions, "shape"> = {}): Blob {
  const { dtype } = checkOptions("constantScalar", options, ["dtype", "name"]);
  requireDtype("constantScalar", dtype);
  requireNumber("constantScalar", "value", value);
  return constant(value, options);
}

/** Options of `constantLike`, `zerosLike` and `onesLike`. */
export interface LikeOptions extends Named {
  /** Default that of `like`. */
  readonly dtype?: DType;
}

/** A blob of the shape of `like`, filled with one number.  @flow constant_like */
export function constantLike(like: Blob, value: number, options: LikeOptions = {}): Blob {
  return filledLike("constantLike", like, value, options);
}

function filledLike(where: string, like: Blob, value: number, options: LikeOptions): Blob {
  const { dtype, name } = checkOptions(where, options, ["dtype", "name"]);
  requireBlob(where, "like", like);
  requireNumber(where, "value", value);
  return constant(value, { dtype: dtype ?? like.dtype, shape: like.shape, ...(name === undefined ? {} : { name }) });
}

/**
 * Zeros of the shape of `like`.
 * @flow zeros_like
 * @example
 * ```ts job
 * // x = [[1, 2, 3], [4, 5, 6]]
 * flow.zerosLike(x); // -> [[0, 0, 0], [0, 0, 0]]
 * ```
 */
export function zerosLike(like: Blob, options: LikeOptions = {}): Blob {
  return filledLike("zerosLike", like, 0, options);
}

/** Ones of the shape of `like`.  @flow ones_like */
export function onesLike(like: Blob, options: LikeOptions = {}): Blob {
  return filledLike("onesLike", like, 1, options);
}

export const constantOp = op("constant", {
  infer: (_, { dtype, shape }: ConstantAttrs): BlobType => {
    if (!shape.every((d) => Number.isInteger(d) && d > 0))
      throw new FlowError("E_SHAPE", `constant: shape ${plainText(shape)} must hold positive integers`);
    return { dtype, shape };
  },
});
/** `value` is a number, or its name where JSON has none ("Infinity", "-Infinity", "NaN"). */
export type ConstantAttrs = { readonly value: number | string; readonly dtype: DType; readonly shape: Shape };

/** Attrs are printed and compared as JSON, which has no word for these. */
export const finite = (value: number): number | string => (Number.isFinite(value) ? value : String(value));

/** A blob of `like`'s dtype and of shape `[1]`: the form scalars take. */
export function scalarLike(value: number, like: BlobType): Blob {
  return emit(constantOp, [], { value: finite(value), dtype: like.dtype, shape: [1] });
}

/** `0, 1, 2, ...` along `axis`, the same on all others. */
export function iota(shape: Shape, axis: number, dtype: DType): Blob {
  return emit(iotaOp, [], { shape, axis, dtype });
}
export const iotaOp = op("iota", {
  infer: (_, { dtype, shape }: { readonly dtype: DType; readonly shape: Shape; readonly axis: number }): BlobType => ({
    dtype,
    shape,
  }),
});

/** The number a constant node holds everywhere, or undefined for any other node. */
export function constantValue(blob: Blob): number | undefined {
  return blob.node.op === "constant" ? Number(blob.node.attrs.value) : undefined;
}

/** True where an op on this many elements is worth no thought. */
export const isScalar = (type: BlobType): boolean => sizeOf(type.shape) === 1;
