import { sameShape } from "../../core/shape.js";
import { fromHalf, toHalf } from "../../core/tensor.js";
import type { BlobType } from "../../graph/blob.js";
import { type Array64, broadcastIndices } from "./array.js";
import type { Rows } from "./table.js";

/** A function of one element. */
export const map =
  (fn: (x: number) => number) =>
  ([x]: readonly Array64[]): Float64Array =>
    x!.data.map(fn);

/** A function of elements, inputs broadcast to the output. */
export const zip =
  (fn: (x: number, y: number, z: number) => number) =>
  (inputs: readonly Array64[], _: unknown, [type]: readonly BlobType[]): Float64Array => {
    const [x, y, z = y] = inputs.map((input) => spread(input, type!.shape));
    return x!.map((value, i) => fn(value, y![i]!, z![i]!));
  };

/** The elements of an array broadcast to `shape`. */
function spread({ data, shape: own }: Array64, shape: readonly number[]): Float64Array {
  return sameShape(own, shape) ? data : Float64Array.from(broadcastIndices(own, shape), (i) => data[i]!);
}

const bool = (value: boolean): number => (value ? 1 : 0);

export const elementwise = {
  abs: map(Math.abs),
  add: zip((x, y) => x + y),
  cast: ([x], { dtype }) => {
    if (dtype === "bool") return map((v) => bool(v !== 0))([x!]);
    if (!dtype.startsWith("float")) return map(Math.trunc)([x!]);
    // Values of float32 blobs are float64 here, but a cast from float64 is there to round: a learning rate is a float32.
    if (dtype === "float16") return map((v) => fromHalf(toHalf(v)))([x!]);
    return dtype === "float32" ? map(Math.fround)([x!]) : x!.data;
  },
  divide: (inputs, attrs, types) => {
    const quotient = zip((x, y) => x / y)(inputs, attrs, types);
    return types[0]!.dtype.startsWith("float") ? quotient : quotient.map(Math.trunc);
  },
  equal: zip((x, y) => bool(x === y)),
  greater: zip((x, y) => bool(x > y)),
  greaterEqual: zip((x, y) => bool(x >= y)),
  isFinite: map((x) => bool(Number.isFinite(x))),
  less: zip((x, y) => bool(x < y)),
  lessEqual: zip((x, y) => bool(x <= y)),
  maximum: zip((x, y) => (x >= y || Number.isNaN(x) ? x : y)),
  minimum: zip((x, y) => (x <= y || Number.isNaN(x) ? x : y)),
  multiply: zip((x, y) => x * y),
  negative: map((x) => -x),
  notEqual: zip((x, y) => bool(x !== y)),
  sign: map(Math.sign),
  subtract: zip((x, y) => x - y),
  where: zip((condition, x, y) => (condition !== 0 ? x : y)),
} satisfies Partial<Rows>;
