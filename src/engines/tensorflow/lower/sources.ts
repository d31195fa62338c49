import { allocate, type DType } from "../../../core/dtype.js";
import { type Shape, sizeOf, stridesOf } from "../../../core/shape.js";
import type { Tensor } from "../../../core/tensor.js";
import { type Emitters, type } from "./context.js";

function tensorOf(dtype: DType, shape: Shape, element: (i: number) => number): Tensor {
  const data = allocate(dtype, sizeOf(shape));
  for (let i = 0; i < data.length; i++) data[i] = dtype === "int64" ? BigInt(element(i)) : element(i);
  return { dtype, shape, data };
}

export const sources = {
  constant: (to, _, { value, dtype, shape }) => {
    const number = Number(value);
    // A large constant would only make the graph large.
    if (sizeOf(shape) <= 1024) return to.tensor(tensorOf(dtype, shape, () => number));
    return to.one("Fill", [to.ints(shape), to.scalar(dtype, number)], { T: type(dtype) });
  },
  iota: (to, _, { shape, axis, dtype }) => {
    const step = stridesOf(shape)[axis]!;
    return to.tensor(tensorOf(dtype, shape, (i) => Math.floor(i / step) % shape[axis]!));
  },
} satisfies Partial<Emitters>;
