import { sizeOf, stridesOf } from "../../core/shape.js";
import type { Rows } from "./table.js";

export const sources = {
  constant: (_, { value, shape }) => new Float64Array(sizeOf(shape)).fill(Number(value)),
  iota: (_, { shape, axis }) => {
    const step = stridesOf(shape)[axis]!;
    return Float64Array.from({ length: sizeOf(shape) }, (_unused, i) => Math.floor(i / step) % shape[axis]!);
  },
} satisfies Partial<Rows>;
