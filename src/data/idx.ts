import { FlowError } from "../core/errors.js";

/** Bytes with dimensions, as idx and npy files hold them. */
export interface ByteArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Reads an idx file of unsigned bytes (the MNIST format): magic 0 0 8 rank, big-endian sizes, elements. `where` begins errors. */
export function readIdx(bytes: Uint8Array, where: string): ByteArray {
  const fail = (what: string): FlowError => new FlowError("E_DATA", `${where}: ${what}; fetch the file again`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint16(0) !== 0 || view.getUint8(2) !== 8)
    throw fail("is no idx file of unsigned bytes");
  const rank = view.getUint8(3);
  const start = 4 + 4 * rank;
  if (bytes.length < start) throw fail("ends within its header");
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = shape.reduce((product, d) => product * d, 1);
  if (bytes.length !== start + size)
    throw fail(`has ${bytes.length - start} bytes of elements, its header says ${size} ([${shape.join(",")}])`);
  return { shape, data: bytes.subarray(start) };
}
