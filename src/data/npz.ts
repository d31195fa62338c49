import { inflateRawSync } from "node:zlib";
import { FlowError } from "../core/errors.js";
import type { ByteArray } from "./idx.js";

/** Reads the arrays of a numpy .npz file whose elements are unsigned bytes: a zip of .npy files, stored or deflated. */
export function readNpz(bytes: Uint8Array, where: string): ReadonlyMap<string, ByteArray> {
  const fail = (what: string): FlowError => new FlowError("E_DATA", `${where}: ${what}; fetch the file again`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    // End of central directory: the last record of that signature.
    let end = bytes.length - 22;
    while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
    if (end < 0) throw fail("is no zip file, or is cut off");
    const arrays = new Map<string, ByteArray>();
    let at = view.getUint32(end + 16, true);
    for (let n = view.getUint16(end + 10, true); n > 0; n--) {
      if (view.getUint32(at, true) !== 0x02014b50) throw fail("has a damaged directory");
      const [method, size, nameLength, extra, comment, offset] = [
        view.getUint16(at + 10, true),
        view.getUint32(at + 20, true),
        view.getUint16(at + 28, true),
        view.getUint16(at + 30, true),
        view.getUint16(at + 32, true),
        view.getUint32(at + 42, true),
      ];
      const name = Buffer.from(bytes.subarray(at + 46, at + 46 + nameLength)).toString("utf8");
      const start = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
      const packed = bytes.subarray(start, start + size);
      if (method !== 0 && method !== 8)
        throw fail(`entry '${name}' uses zip method ${method}, expected stored or deflated`);
      arrays.set(
        name.replace(/\.npy$/, ""),
        readNpy(method === 0 ? packed : inflateRawSync(packed), `${where}, entry '${name}'`),
      );
      at += 46 + nameLength + extra + comment;
    }
    return arrays;
  } catch (cause) {
    if (cause instanceof FlowError) throw cause;
    throw new FlowError("E_DATA", `${where}: is damaged (${(cause as Error).message}); fetch the file again`, {
      cause,
    });
  }
}

function readNpy(bytes: Uint8Array, where: string): ByteArray {
  const fail = (what: string): FlowError => new FlowError("E_DATA", `${where}: ${what}; fetch the file again`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (Buffer.from(bytes.subarray(0, 6)).toString("latin1") !== "\u0093NUMPY") throw fail("is no npy array");
  const wide = view.getUint8(6) > 1;
  const start = wide ? 12 + view.getUint32(8, true) : 10 + view.getUint16(8, true);
  const header = Buffer.from(bytes.subarray(wide ? 12 : 10, start)).toString("latin1");
  if (!/'descr':\s*'\|u1'/.test(header) || !/'fortran_order':\s*False/.test(header))
    throw fail(`holds ${header.trim()}, expected unsigned bytes ('|u1') in C order`);
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? "")
    .split(",")
    .filter((d) => d.trim() !== "")
    .map(Number);
  const size = shape.reduce((product, d) => product * d, 1);
  if (bytes.length - start !== size)
    throw fail(`has ${bytes.length - start} bytes of elements, its header says ${size}`);
  return { shape, data: bytes.subarray(start) };
}
