import { allocate, type Data, type DType, dtypeOf } from "../core/dtype.js";
import { FlowError } from "../core/errors.js";
import { type Shape, sameShape, sizeOf, typeText } from "../core/shape.js";
import { NdArray } from "../core/tensor.js";

type DTypeOf<A> = A extends Float32Array
  ? "float32"
  : A extends Float64Array
    ? "float64"
    : A extends Int8Array
      ? "int8"
      : A extends Uint8Array | Uint8ClampedArray
        ? "uint8"
        : A extends Int32Array
          ? "int32"
          : A extends BigInt64Array
            ? "int64"
            : never;

/** Typed arrays that hold a dtype. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int32Array
  | BigInt64Array;

/**
 * What a batch of elements E is: arrays of one shape are stacked, tuples and objects of them become tuples and objects of
 * stacks, all else (numbers, texts) a plain list; jobs take lists of numbers for any dtype.
 */
export type Collated<E> =
  E extends NdArray<infer D>
    ? NdArray<D>
    : E extends TypedArray
      ? NdArray<DTypeOf<E>>
      : E extends number
        ? number[]
        : E extends string
          ? string[]
          : E extends bigint
            ? bigint[]
            : E extends boolean
              ? boolean[]
              : E extends readonly unknown[] | Readonly<Record<string, unknown>>
                ? { -readonly [K in keyof E]: Collated<E[K]> }
                : E[];

/** One batch of `elements`, which are alike: see {@link Collated}. `where` begins errors. */
export function collate(where: string, elements: readonly unknown[]): unknown {
  const first = elements[0];
  if (first instanceof NdArray || ArrayBuffer.isView(first)) return stack(where, elements);
  if (Array.isArray(first)) {
    if (first.every((entry) => typeof entry === "number"))
      throw new FlowError(
        "E_DATA",
        `${where}: an element holds a plain array of numbers; make it a Float32Array (or the like) or an NdArray where it is one row, an object {x, y} where its numbers are apart`,
      );
    return first.map((_, key) => collate(`${where}[${key}]`, pick(where, elements, key, first)));
  }
  if (isPlain(first))
    return Object.fromEntries(
      Object.keys(first).map((key) => [key, collate(`${where}.${key}`, pick(where, elements, key, first))]),
    );
  return [...elements];
}

/** True for an object made by `{}`. */
export function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function pick(where: string, elements: readonly unknown[], key: number | string, first: object): readonly unknown[] {
  const keys = Object.keys(first).join();
  return elements.map((element, i) => {
    if (typeof element !== "object" || element === null || Object.keys(element).join() !== keys)
      throw new FlowError(
        "E_DATA",
        `${where}: element ${i} of the batch has parts ${keysText(element)}, the first has ${keysText(first)}; all elements must be alike`,
      );
    return (element as Record<string | number, unknown>)[key];
  });
}

const keysText = (value: unknown): string =>
  typeof value === "object" && value !== null ? `{${Object.keys(value).join(", ")}}` : `none (${typeof value})`;

interface Row {
  readonly data: Data;
  readonly shape: Shape;
  readonly dtype: DType;
}

function stack(where: string, elements: readonly unknown[]): NdArray {
  const first = rowOf(where, elements[0]);
  const size = first.data.length;
  const out = allocate(first.dtype, elements.length * size);
  for (const [i, element] of elements.entries()) {
    const row = rowOf(where, element);
    if (row.dtype !== first.dtype || !sameShape(row.shape, first.shape))
      throw new FlowError(
        "E_SHAPE",
        `${where}: element ${i} of the batch is ${typeText(row.dtype, row.shape)}, the first is ${typeText(first.dtype, first.shape)}; give all elements one shape and dtype`,
      );
    (out as Float32Array).set(row.data as Float32Array, i * size);
  }
  return new NdArray(out, [elements.length, ...first.shape], first.dtype);
}

function rowOf(where: string, value: unknown): Row {
  if (value instanceof NdArray) return value;
  const dtype = dtypeOf(value);
  if (dtype !== undefined) return { data: value as Data, shape: [(value as Data).length], dtype };
  const got = ArrayBuffer.isView(value) ? value.constructor.name : value === null ? "null" : typeof value;
  throw new FlowError(
    "E_DTYPE",
    `${where}: got ${got}, expected an NdArray or a typed array of a dtype (Float32Array, Int32Array, ...), as in the other elements`,
  );
}

/** An array whose axis 0 counts the elements of a source. */
export interface Column extends Row {
  readonly rows: number;
  /** Elements of one row. */
  readonly size: number;
}

/** An array as a column: `shape[0]` rows. */
export function columnOf(data: Data, shape: Shape, dtype: DType): Column {
  const row = shape.slice(1);
  return { data, shape: row, dtype, rows: shape[0]!, size: sizeOf(row) };
}

/** Rows `at(0) ... at(count - 1)` of a column as a new array. */
export function gatherRows({ data, shape, dtype, size }: Column, count: number, at: (i: number) => number): NdArray {
  const out = allocate(dtype, count * size);
  if (size === 1) for (let i = 0; i < count; i++) out[i] = data[at(i)]!;
  else
    for (let i = 0; i < count; i++) {
      const start = at(i) * size;
      (out as Float32Array).set(data.subarray(start, start + size) as Float32Array, i * size);
    }
  return new NdArray(out, [count, ...shape], dtype);
}

/** Rows [begin, end) of a column as a view. */
export function viewRows({ data, shape, dtype, size }: Column, begin: number, end: number): NdArray {
  return new NdArray(data.subarray(begin * size, end * size) as Data, [end - begin, ...shape], dtype);
}
