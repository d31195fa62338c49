import { sizeOf } from "../../core/shape.js";
import type { Array64 } from "./array.js";
import type { Rows } from "./table.js";

/** Applies `fn` to each row along an axis. */
function rows(x: Array64, axis: number, fn: (row: Float64Array) => Float64Array): Float64Array {
  const count = x.shape[axis]!;
  const inner = sizeOf(x.shape.slice(axis + 1));
  const result = new Float64Array(x.data.length);
  for (let start = 0; start < x.data.length; start += count * inner) {
    for (let i = 0; i < inner; i++) {
      const at = (n: number): number => start + n * inner + i;
      fn(Float64Array.from({ length: count }, (_, n) => x.data[at(n)]!)).forEach((value, n) => {
        result[at(n)] = value;
      });
    }
  }
  return result;
}

function logSoftmax(row: Float64Array): Float64Array {
  const max = row.reduce((a, b) => Math.max(a, b), -Infinity);
  const logSum = max + Math.log(row.reduce((sum, x) => sum + Math.exp(x - max), 0));
  return row.map((x) => x - logSum);
}

export const loss = {
  logSoftmax: ([x], { axis }) => rows(x!, axis, logSoftmax),
  softmax: ([x], { axis }) => rows(x!, axis, (row) => logSoftmax(row).map(Math.exp)),
} satisfies Partial<Rows>;
