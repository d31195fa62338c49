/** Element types. `bool` lives inside graphs only; float16 is a storage type whose host form is Float32Array. */
export type DType = "float32" | "float64" | "float16" | "int8" | "uint8" | "int32" | "int64" | "bool";

/** Typed array that holds a dtype on the host; B is the kind of memory under it. */
export type DataOf<D extends DType, B extends ArrayBufferLike = ArrayBuffer> = D extends "float32" | "float16"
  ? Float32Array<B>
  : D extends "float64"
    ? Float64Array<B>
    : D extends "int8"
      ? Int8Array<B>
      : D extends "int32"
        ? Int32Array<B>
        : D extends "int64"
          ? BigInt64Array<B>
          : Uint8Array<B>;

export type Data = DataOf<DType>;

type ArrayClass = {
  new (buffer: ArrayBuffer, byteOffset?: number, length?: number): Data;
  readonly BYTES_PER_ELEMENT: number;
};

const arrays: Record<DType, ArrayClass> = {
  float32: Float32Array,
  float16: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
} as Record<DType, ArrayClass>;

export const dtypeNames = Object.keys(arrays) as readonly DType[];

/** The dtypes that placeholders and variables can have.  @flow dtypes */
export function dtypes(): readonly DType[] {
  return dtypeNames.filter((dtype) => dtype !== "bool");
}

/** The name numpy has for a dtype: the same.  @flow convert_oneflow_dtype_to_numpy_dtype */
export function convertOneflowDtypeToNumpyDtype(dtype: DType): string {
  return dtype;
}

/** Bytes of an element as stored in files and engines. */
export function byteSize(dtype: DType): number {
  return dtype === "float16" ? 2 : arrays[dtype].BYTES_PER_ELEMENT;
}

/** The typed array class of a dtype. */
export function arrayOf(dtype: DType): ArrayClass {
  return arrays[dtype];
}

/** A zeroed array whose buffer never moves (always off the JavaScript heap, so native code may keep its address). */
export function allocate<D extends DType>(dtype: D, length: number): DataOf<D> {
  const Class = arrays[dtype];
  return new Class(new ArrayBuffer(length * Class.BYTES_PER_ELEMENT)) as DataOf<D>;
}

/** The dtype of a typed array, or undefined. */
export function dtypeOf(data: unknown): DType | undefined {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Float64Array) return "float64";
  if (data instanceof Int8Array) return "int8";
  if (data instanceof Uint8Array || data instanceof Uint8ClampedArray) return "uint8";
  if (data instanceof Int32Array) return "int32";
  if (data instanceof BigInt64Array) return "int64";
  return undefined;
}

export const isFloat = (dtype: DType): boolean => dtype === "float32" || dtype === "float64" || dtype === "float16";
export const isInteger = (dtype: DType): boolean => !isFloat(dtype) && dtype !== "bool";
