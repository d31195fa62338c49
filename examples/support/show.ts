import type { NdArray } from "onestep";

/** The elements in one line, with the eight digits that single precision has: `[1.5 0 -2]`. */
export function show(array: NdArray | Float32Array): string {
  const values = array instanceof Float32Array ? array : array.data;
  return `[${Array.from(values as Float32Array, (value) => Number(value.toPrecision(8))).join(" ")}]`;
}
