import { sizeOf, stridesOf } from "../../core/shape.js";
import type { ReduceAttrs } from "../../ops/structure.js";
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

export const structure = {
  argmax: ([x], { axis }) => {
    const count = x!.shape[axis]!;
    return Float64Array.from({ length: x!.data.length / count }, (_, row) => {
      let best = 0;
      for (let i = 1; i < count; i++) if (x!.data[row * count + i]! > x!.data[row * count + best]!) best = i;
      return best;
    });
  },
  broadcastTo: ([x], { shape }) => Float64Array.from(broadcastIndices(x!.shape, shape), (i) => x!.data[i]!),
  reduceMax: reduce(-Infinity, (best, x) => (x > best || Number.isNaN(x) ? x : best)),
  reduceMin: reduce(Infinity, (best, x) => (x < best || Number.isNaN(x) ? x : best)),
  reduceSum: reduce(0, (sum, x) => sum + x),
  reshape: ([x]) => x!.data,
  transpose: ([x], { perm }, [type]) => {
    const from = stridesOf(x!.shape);
    const steps = stridesOf(type!.shape);
    return x!.data.map(
      (_, i) =>
        x!.data[perm.reduce((at, axis, n) => at + (Math.floor(i / steps[n]!) % type!.shape[n]!) * from[axis]!, 0)]!,
    );
  },
} satisfies Partial<Rows>;
