import { allocate, arrayOf, byteSize, type Data, type DataOf, type DType, dtypeOf } from "./dtype.js";
import { bug, FlowError } from "./errors.js";
import { type Shape, sameShape, sizeOf, typeText } from "./shape.js";

/** Host data inside onestep: C-order elements, dtype, shape. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: Shape;
  readonly data: DataOf<D>;
}

/** Nested number arrays, as a literal feed. */
export type NestedArray = readonly (number | bigint | NestedArray)[];

/** What a feed of dtype D may be: an NdArray, its typed array in C order, or nested numbers. */
export type ArrayLike<D extends DType = DType> = NdArray<D> | DataOf<D, ArrayBufferLike> | NestedArray;

/** A tensor of zeros whose buffer native code may keep. */
export function zeros<D extends DType>(dtype: D, shape: Shape): Tensor<D> {
  return { dtype, shape, data: allocate(dtype, sizeOf(shape)) };
}

/**
 * An array of numbers as jobs return it and `flow.data` yields it: C order, frozen, with no arithmetic. `data` is a
 * typed array (BigInt64Array for int64); a view made by `slice` or iteration shares it.
 * @example
 * ```ts
 * const a = new flow.NdArray(Float32Array.of(1, 2, 3, 4), [2, 2]);
 * a.mean(); // -> 2.5
 * a.argmax(1); // -> [1, 1]
 * a.at(1).toArray(); // -> [3, 4]
 * a.slice(0, 1); // -> [[1, 2]]
 * ```
 */
export class NdArray<D extends DType = DType> implements Tensor<D> {
  /** Element type. */
  readonly dtype: D;
  /** Length of each axis; never empty. */
  readonly shape: Shape;
  /** The elements, last axis fastest. */
  readonly data: DataOf<D>;
  constructor(data: DataOf<D, ArrayBufferLike>, shape: Shape, dtype?: D) {
    if (data.length !== sizeOf(shape)) {
      throw new FlowError(
        "E_SHAPE",
        `NdArray: ${data.length} elements do not fill the shape [${shape.join(",")}], which has ${sizeOf(shape)}`,
      );
    }
    this.dtype = dtype ?? (dtypeOf(data) as D);
    this.shape = Object.freeze([...shape]);
    // A bare `Float32Array` in a signature is one over any memory; whoever feeds an array gets a copy of it.
    this.data = data as DataOf<D>;
    Object.freeze(this);
  }

  /** Number of elements. */
  get size(): number {
    return this.data.length;
  }

  /** Length of axis 0. */
  get length(): number {
    return this.shape[0] ?? 1;
  }

  /** The array itself: results of unannotated documented programs are read by `numpy()`. */
  numpy(): this {
    return this;
  }

  /** Arithmetic mean of all elements, in float64. */
  mean(): number {
    return this.sum() / this.data.length;
  }

  /** Sum of all elements, in float64 (int64 exactly, or an error beyond 2^53 - 1). */
  sum(): number {
    if (this.data instanceof BigInt64Array) {
      let total = 0n;
      for (const value of this.data) total += value;
      return safeNumber(total);
    }
    let total = 0;
    for (const value of this.data as Float64Array) total += value;
    return total;
  }

  /** The one element of a one-element array; an error for any other. */
  item(): number {
    if (this.data.length !== 1) {
      throw new FlowError(
        "E_SHAPE",
        `item: ${typeText(this.dtype, this.shape)} has ${this.data.length} elements, expected 1; use toArray()`,
      );
    }
    return toNumber(this.data[0]!);
  }

  /** Index of the first maximum of the flattened array; with `axis` (may be negative), an int32 array of indices along it. */
  argmax(): number;
  argmax(axis: number): NdArray<"int32">;
  argmax(axis?: number): number | NdArray<"int32"> {
    const along = (start: number, step: number, count: number): number => {
      let best = 0;
      for (let i = 1; i < count; i++) if (this.data[start + i * step]! > this.data[start + best * step]!) best = i;
      return best;
    };
    if (axis === undefined) return along(0, 1, this.data.length);
    const rank = this.shape.length;
    const at = axis < 0 ? axis + rank : axis;
    if (!Number.isInteger(at) || at < 0 || at >= rank)
      throw new FlowError("E_ARGUMENT", `argmax: axis ${axis} is outside [-${rank}, ${rank - 1}]`);
    const count = this.shape[at]!;
    const inner = sizeOf(this.shape.slice(at + 1));
    const outer = sizeOf(this.shape.slice(0, at));
    const result = allocate("int32", outer * inner);
    for (let o = 0; o < outer; o++)
      for (let i = 0; i < inner; i++) result[o * inner + i] = along(o * count * inner + i, inner, count);
    const shape = this.shape.filter((_, a) => a !== at);
    return new NdArray(result, shape.length === 0 ? [1] : shape, "int32");
  }

  /** Nested arrays of numbers (int64 as numbers, or an error beyond 2^53 - 1). */
  toArray(): NestedArray {
    const build = (axis: number, start: number, size: number): NestedArray => {
      const count = this.shape[axis]!;
      const step = size / Math.max(count, 1);
      if (axis === this.shape.length - 1)
        return Array.from(this.data.subarray(start, start + count) as Float32Array, toNumber);
      return Array.from({ length: count }, (_, i) => build(axis + 1, start + i * step, step));
    };
    return build(0, 0, this.data.length);
  }

  /** Rows [begin, end) of axis 0, as a view. */
  slice(begin = 0, end = this.length): NdArray<D> {
    const count = this.length;
    const clamp = (index: number): number => Math.min(count, Math.max(0, index < 0 ? index + count : index));
    const from = clamp(begin);
    const to = Math.max(from, clamp(end));
    const step = count === 0 ? 0 : this.data.length / count;
    return new NdArray(
      this.data.subarray(from * step, to * step) as DataOf<D>,
      [to - from, ...this.shape.slice(1)],
      this.dtype,
    );
  }

  /** Row `index` of axis 0 as a view without that axis (`[1]` for an element). */
  at(index: number): NdArray<D> {
    const row = this.slice(index, index === -1 ? this.length : index + 1);
    if (row.length !== 1)
      throw new FlowError("E_ARGUMENT", `at: row ${index} is outside [-${this.length}, ${this.length - 1}]`);
    return new NdArray(row.data, this.shape.length > 1 ? this.shape.slice(1) : [1], this.dtype);
  }

  /** The same elements under another shape, as a view. */
  reshape(shape: Shape): NdArray<D> {
    return new NdArray(this.data, shape, this.dtype);
  }

  /** The rows of axis 0, as `at` gives them. */
  *[Symbol.iterator](): IterableIterator<NdArray<D>> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }

  /** `float32[2,3] [1, 2, ...]`. */
  toString(): string {
    const shown = Array.from(this.data.subarray(0, 8) as Float32Array, String).join(", ");
    return `${typeText(this.dtype, this.shape)} [${shown}${this.data.length > 8 ? ", ..." : ""}]`;
  }
}

function safeNumber(value: bigint): number {
  if (value > 9007199254740991n || value < -9007199254740991n) {
    throw new FlowError(
      "E_DTYPE",
      `int64 value ${value} is beyond 2^53 - 1 and has no exact number; read .data instead`,
    );
  }
  return Number(value);
}

function toNumber(value: number | bigint): number {
  return typeof value === "bigint" ? safeNumber(value) : value;
}

/** A copy of `value` as a tensor of exactly this dtype and shape; `where` begins the message of the error it throws otherwise. */
export function copyInto(where: string, value: unknown, target: Tensor): void {
  const { dtype, shape } = target;
  const expected = (): string => typeText(dtype, shape);
  if (value instanceof NdArray) {
    if (!sameShape(value.shape, shape))
      throw new FlowError(
        "E_SHAPE",
        `${where}: got ${typeText(value.dtype, value.shape)}, expected ${expected()}${sizeOf(value.shape) === sizeOf(shape) ? "; reshape it" : ""}`,
      );
    copyData(where, value.data, value.dtype, target, expected);
  } else if (ArrayBuffer.isView(value)) {
    const got = dtypeOf(value);
    if (got === undefined)
      throw new FlowError(
        "E_DTYPE",
        `${where}: got a ${value.constructor.name}, expected ${expected()} as ${arrayOf(dtype).name ?? "a typed array"}`,
      );
    const data = value as unknown as Data;
    if (data.length !== sizeOf(shape))
      throw new FlowError(
        "E_SHAPE",
        `${where}: got ${data.length} elements, expected ${expected()}, which has ${sizeOf(shape)}`,
      );
    copyData(where, data, got, target, expected);
  } else if (Array.isArray(value)) {
    copyNested(where, value as NestedArray, target, expected);
  } else {
    const got = value === null ? "null" : typeof value;
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: got ${got}, expected ${expected()} as an NdArray, a typed array or nested number arrays`,
    );
  }
}

function copyData(where: string, data: Data, got: DType, target: Tensor, expected: () => string): void {
  if (got !== target.dtype && !(target.dtype === "float16" && got === "float32")) {
    throw new FlowError(
      "E_DTYPE",
      `${where}: got ${got}, expected ${expected()}; convert it first (values are never cast silently)`,
    );
  }
  (target.data as Float32Array).set(data as Float32Array);
  roundHalves(target);
}

/** Rounds what a float16 tensor holds to halves, which its data, a Float32Array, must be; leaves others alone. */
export function roundHalves({ dtype, data }: Tensor): void {
  if (dtype !== "float16") return;
  for (let i = 0; i < data.length; i++) (data as Float32Array)[i] = fromHalf(toHalf((data as Float32Array)[i]!));
}

/** The least and greatest value of an integer dtype, where a number holds them exactly. */
export const integerRange: Partial<Record<DType, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int32: [-2147483648, 2147483647],
};

function copyNested(where: string, value: NestedArray, target: Tensor, expected: () => string): void {
  const { data, dtype, shape } = target;
  const range = integerRange[dtype];
  let position = 0;
  const fill = (part: number | bigint | NestedArray, axis: number, path: string): void => {
    if (axis < shape.length) {
      if (!Array.isArray(part) || part.length !== shape[axis]) {
        const got = Array.isArray(part) ? `an array of ${part.length}` : String(part);
        throw new FlowError(
          "E_SHAPE",
          `${where}${path}: got ${got}, expected an array of ${shape[axis]} (${expected()})`,
        );
      }
      for (const [i, entry] of (part as NestedArray).entries()) fill(entry, axis + 1, `${path}[${i}]`);
      return;
    }
    if (typeof part !== "number" && typeof part !== "bigint")
      throw new FlowError(
        "E_ARGUMENT",
        `${where}${path}: got ${Array.isArray(part) ? "an array" : typeof part}, expected a number (${expected()})`,
      );
    if (dtype === "int64") {
      if (typeof part === "number" && !Number.isSafeInteger(part))
        throw new FlowError("E_DTYPE", `${where}${path}: ${part} is no exact integer, expected ${expected()}`);
      (data as BigInt64Array)[position++] = BigInt(part);
      return;
    }
    const number = Number(part);
    if (range !== undefined && !(Number.isInteger(number) && number >= range[0] && number <= range[1])) {
      throw new FlowError("E_DTYPE", `${where}${path}: ${part} does not fit ${dtype}, expected ${expected()}`);
    }
    (data as Float32Array)[position++] = number;
  };
  fill(value, 0, "");
  roundHalves(target);
}

// --- bytes ---------------------------------------------------------------------------------------------------------

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** The little-endian C-order bytes of a tensor; a view of its data where the machine and dtype allow. */
export function bytesOf(tensor: Tensor): Uint8Array {
  if (!littleEndian) throw bug("big-endian machines are not supported");
  if (tensor.dtype === "float16") return new Uint8Array(Uint16Array.from(tensor.data as Float32Array, toHalf).buffer);
  return new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
}

/** A tensor from its little-endian bytes, which must have exactly the right number. */
export function fromBytes<D extends DType>(dtype: D, shape: Shape, bytes: Uint8Array): Tensor<D> {
  const tensor = zeros(dtype, shape);
  if (bytes.byteLength !== tensor.data.length * byteSize(dtype))
    throw bug(`fromBytes: ${bytes.byteLength} bytes for ${typeText(dtype, shape)}`);
  if (dtype === "float16") {
    const half = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < tensor.data.length; i++)
      (tensor.data as Float32Array)[i] = fromHalf(half.getUint16(2 * i, true));
  } else new Uint8Array(tensor.data.buffer).set(bytes);
  return tensor;
}

const scratch = new DataView(new ArrayBuffer(4));

/** IEEE 754 half bits of a number, rounded to nearest even (through float32). */
export function toHalf(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x47800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (magnitude < 0x38800000) {
    // Subnormal halves: the value in units of 2^-24, rounded to even.
    const units = Math.abs(value) * 16777216;
    const floor = Math.floor(units);
    const rest = units - floor;
    return sign | (rest > 0.5 || (rest === 0.5 && (floor & 1) === 1) ? floor + 1 : floor);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | Math.min(0x7c00, (rounded - 0x38000000) >>> 13);
}

/** The number that IEEE 754 half bits stand for. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
