import { sizeOf } from "../../core/shape.js";
import type { ReduceAttrs } from "../../ops/reduce.js";
import { type Array64, broadcastIndices } from "./array.js";
import type { Rows } from "./table.js";

/** Folds the elements of each group that shares all axes but the reduced ones. */
const reduce =
  (start: number, fn: (sum: number, x: number) => number) =>
  ([x]: readonly Array64[], { axes }: ReduceAttrs): Float64Array => {
    const kept = x!.shape.map((d, axis) => (axes.includes(axis) ? 1 : d));
    const result = new Float64Array(sizeOf(kept)).fill(start);
    const target = broadcastIndices(kept, x!.shape);
    x!.data.forEach((value, i) => {
      result[target[i]!] = fn(result[target[i]!]!, value);
    });
    return result;
  };

const max = reduce(-Infinity, (best, x) => (x > best || Number.isNaN(x) ? x : best));
const sum = reduce(0, (total, x) => total + x);

export const reduceRows = {
  reduceLogsumexp: ([x], attrs) => {
    const largest = max([x!], attrs);
    const kept = x!.shape.map((d, axis) => (attrs.axes.includes(axis) ? 1 : d));
    const at = broadcastIndices(kept, x!.shape);
    const shift = largest.map((v) => (Math.abs(v) === Infinity ? 0 : v));
    const scaled = x!.data.map((v, i) => Math.exp(v - shift[at[i]!]!));
    return sum([{ ...x!, data: scaled }], attrs).map((v, i) => Math.log(v) + shift[i]!);
  },
  reduceMax: max,
  reduceMin: reduce(Infinity, (best, x) => (x < best || Number.isNaN(x) ? x : best)),
  reduceProd: reduce(1, (product, x) => product * x),
  reduceSum: sum,
} satisfies Partial<Rows>;
