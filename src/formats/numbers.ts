import { arrayOf, type DType } from "../core/dtype.js";
import { fromHalf } from "../core/tensor.js";

/** Elements of a piece that can be read as numbers. */
export type Numbers = ArrayLike<number> | BigInt64Array;

/** The elements in a piece of a model file; a view wherever the dtype allows. */
export function numbersOf(dtype: DType, piece: Uint8Array): Numbers {
  if (dtype === "float16") {
    const halves = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
    return Float32Array.from({ length: piece.byteLength / 2 }, (_, i) => fromHalf(halves.getUint16(2 * i, true)));
  }
  const Class = arrayOf(dtype);
  const aligned = piece.byteOffset % Class.BYTES_PER_ELEMENT === 0 ? piece : piece.slice();
  const length = aligned.byteLength / Class.BYTES_PER_ELEMENT;
  return new Class(aligned.buffer as ArrayBuffer, aligned.byteOffset, length) as Numbers;
}
