import { type Shape, sizeOf, stridesOf } from "../../core/shape.js";
import type { Rows } from "./table.js";

/** Calls `fn` with each position of an array of this shape, in C order. */
function positions(shape: Shape, fn: (position: readonly number[], index: number) => void): void {
  const position = shape.map(() => 0);
  for (let index = 0; index < sizeOf(shape); index++) {
    fn(position, index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++position[axis]! < shape[axis]!) break;
      position[axis] = 0;
    }
  }
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);

export const parts = {
  concat: (inputs, { axis }, [type]) => {
    const result = new Float64Array(sizeOf(type!.shape));
    const strides = stridesOf(type!.shape);
    let start = 0;
    for (const x of inputs) {
      positions(x.shape, (position, i) => {
        result[dot(position, strides) + start * strides[axis]!] = x.data[i]!;
      });
      start += x.shape[axis]!;
    }
    return result;
  },
  pad: ([x], { before, value }, [type]) => {
    const result = new Float64Array(sizeOf(type!.shape)).fill(Number(value));
    const strides = stridesOf(type!.shape);
    positions(x!.shape, (position, i) => {
      result[dot(position, strides) + dot(before, strides)] = x!.data[i]!;
    });
    return result;
  },
  slice: ([x], { starts, steps }, [type]) => {
    const result = new Float64Array(sizeOf(type!.shape));
    const strides = stridesOf(x!.shape);
    positions(type!.shape, (position, i) => {
      result[i] =
        x!.data[
          dot(
            position.map((p, axis) => starts[axis]! + p * steps[axis]!),
            strides,
          )
        ]!;
    });
    return result;
  },
} satisfies Partial<Rows>;
