import type { DataOf, DType } from "../core/dtype.js";
import { FlowError } from "../core/errors.js";
import { sizeOf } from "../core/shape.js";
import { NdArray } from "../core/tensor.js";

/**
 * An array cut into batches: `length` of them, each an NdArray view made when asked for, by index, `entries()` or
 * iteration. The last batch is full: `size` divides the number of rows.
 */
export class Batches<D extends DType> implements Iterable<NdArray<D>> {
  /** The batch of this index; undefined outside. */
  readonly [index: number]: NdArray<D>;
  /** Number of batches. */
  readonly length: number;

  constructor(
    /** All rows, in C order. */
    readonly data: DataOf<D>,
    /** Shape of one row. */
    readonly row: readonly number[],
    /** Rows of a batch. */
    readonly size: number,
    /** Element type. */
    readonly dtype: D,
  ) {
    const rows = data.length / sizeOf(row);
    if (!Number.isInteger(rows / size)) throw new FlowError("E_DATA", `Batches: ${size} does not divide ${rows} rows`);
    this.length = rows / size;
    // biome-ignore lint/correctness/noConstructorReturn: a proxy is how a class gets numeric indices
    return new Proxy(this, {
      get: (target, key) =>
        typeof key === "string" && /^\d+$/.test(key)
          ? target.#view(Number(key))
          : bound(target, Reflect.get(target, key, target)),
      has: (target, key) =>
        typeof key === "string" && /^\d+$/.test(key) ? Number(key) < target.length : Reflect.has(target, key),
    });
  }

  /** The batch of this index, negative from the end; an error outside. */
  at(index: number): NdArray<D> {
    const found = this.#view(index < 0 ? index + this.length : index);
    if (found === undefined)
      throw new FlowError("E_ARGUMENT", `batches: index ${index} is outside [-${this.length}, ${this.length - 1}]`);
    return found;
  }

  /** Batches [begin, end) as batches of their own, sharing the data. */
  slice(begin = 0, end = this.length): Batches<D> {
    const step = this.size * sizeOf(this.row);
    const clamp = (index: number): number =>
      Math.min(this.length, Math.max(0, index < 0 ? index + this.length : index));
    return new Batches(
      this.data.subarray(clamp(begin) * step, Math.max(clamp(begin), clamp(end)) * step) as DataOf<D>,
      this.row,
      this.size,
      this.dtype,
    );
  }

  /** Index and batch, in order. */
  *entries(): IterableIterator<[number, NdArray<D>]> {
    for (let i = 0; i < this.length; i++) yield [i, this.#view(i)!];
  }

  /** The batches, in order. */
  *[Symbol.iterator](): IterableIterator<NdArray<D>> {
    for (let i = 0; i < this.length; i++) yield this.#view(i)!;
  }

  #view(index: number): NdArray<D> | undefined {
    if (!Number.isInteger(index) || index < 0 || index >= this.length) return undefined;
    const step = this.size * sizeOf(this.row);
    return new NdArray(
      this.data.subarray(index * step, (index + 1) * step) as DataOf<D>,
      [this.size, ...this.row],
      this.dtype,
    );
  }
}

/** Methods run on the object itself: private fields do not pass through a proxy. */
function bound(target: object, value: unknown): unknown {
  return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
}
