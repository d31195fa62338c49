import type { DType } from "../../core/dtype.js";
import { type Shape, sizeOf, stridesOf } from "../../core/shape.js";
import type { Tensor } from "../../core/tensor.js";
import { zeros } from "../../core/tensor.js";

/** A value of the reference engine: any dtype, computed in float64. */
export interface Array64 {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** From host data. int64 must lie within 2^53, where float64 is exact. */
export function toArray64({ dtype, shape, data }: Tensor): Array64 {
  return { dtype, shape, data: Float64Array.from(data as Float32Array, Number) };
}

/** To host data of the value's dtype: rounded for float32, exact for integers in range. */
export function toTensor({ dtype, shape, data }: Array64): Tensor {
  const tensor = zeros(dtype, shape);
  if (dtype === "int64") for (let i = 0; i < data.length; i++) (tensor.data as BigInt64Array)[i] = BigInt(data[i]!);
  else (tensor.data as Float64Array).set(data);
  return tensor;
}

/** For each element of `shape`, the index of the element of an array of shape `from` that broadcasting reads. */
export function broadcastIndices(from: Shape, shape: Shape): Int32Array {
  const indices = new Int32Array(sizeOf(shape));
  const own = stridesOf(from);
  const lead = shape.length - from.length;
  const steps = shape.map((_, axis) => (axis < lead || from[axis - lead] === 1 ? 0 : own[axis - lead]!));
  const position = new Array<number>(shape.length).fill(0);
  for (let i = 0, at = 0; i < indices.length; i++) {
    indices[i] = at;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += steps[axis]!;
      if (++position[axis]! < shape[axis]!) break;
      at -= steps[axis]! * shape[axis]!;
      position[axis] = 0;
    }
  }
  return indices;
}
