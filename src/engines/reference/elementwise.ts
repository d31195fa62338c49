import type { BlobType } from "../../graph/blob.js";
import { type Array64, broadcastIndices } from "./array.js";
import type { Rows } from "./table.js";

/** A function of one element. */
export const map =
  (fn: (x: number) => number) =>
  ([x]: readonly Array64[]): Float64Array =>
    x!.data.map(fn);

/** A function of elements, inputs broadcast to the output. */
const zip =
  (fn: (...values: number[]) => number) =>
  (inputs: readonly Array64[], _: unknown, [type]: readonly BlobType[]): Float64Array => {
    const indices = inputs.map((input) => broadcastIndices(input.shape, type!.shape));
    return Float64Array.from({ length: indices[0]!.length }, (_unused, i) => fn(...inputs.map((input, n) => input.data[indices[n]![i]!]!)));
  };

const bool = (value: boolean): number => (value ? 1 : 0);

export const elementwise = {
  abs: map(Math.abs),
  add: zip((x, y) => x + y),
  cast: ([x], { dtype }) => {
    if (dtype === "bool") return map((v) => bool(v !== 0))([x!]);
    return dtype.startsWith("float") ? x!.data : map(Math.trunc)([x!]);
  },
  divide: (inputs, attrs, types) => {
    const quotient = zip((x, y) => x / y)(inputs, attrs, types);
    return types[0]!.dtype.startsWith("float") ? quotient : quotient.map(Math.trunc);
  },
  equal: zip((x, y) => bool(x === y)),
  exp: map(Math.exp),
  greater: zip((x, y) => bool(x > y)),
  greaterEqual: zip((x, y) => bool(x >= y)),
  less: zip((x, y) => bool(x < y)),
  lessEqual: zip((x, y) => bool(x <= y)),
  log: map(Math.log),
  maximum: zip((x, y) => (x >= y || Number.isNaN(x) ? x : y)),
  minimum: zip((x, y) => (x <= y || Number.isNaN(x) ? x : y)),
  multiply: zip((x, y) => x * y),
  negative: map((x) => -x),
  notEqual: zip((x, y) => bool(x !== y)),
  relu: map((x) => (x > 0 || Number.isNaN(x) ? x : 0)),
  sign: map(Math.sign),
  sqrt: map(Math.sqrt),
  subtract: zip((x, y) => x - y),
  where: zip((condition, x, y) => (condition !== 0 ? x : y)),
} satisfies Partial<Rows>;
