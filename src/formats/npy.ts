import type { DType } from "../core/dtype.js";
import { FlowError } from "../core/errors.js";
import { sizeOf } from "../core/shape.js";

/** What the header of an npy array says. */
export interface NpyHeader {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Whether the first axis, not the last, changes fastest. */
  readonly fortranOrder: boolean;
  /** Bytes before the elements. */
  readonly length: number;
}

const descrs: Readonly<Record<string, DType>> = {
  "|b1": "bool",
  "|u1": "uint8",
  "|i1": "int8",
  "<f2": "float16",
  "<i4": "int32",
  "<f4": "float32",
  "<f8": "float64",
  "<i8": "int64",
};
const magic = Buffer.from("\u0093NUMPY", "latin1");
// numpy itself reads no longer ones unless told to.
const HEADER_LIMIT = 10_000;

/** Most bytes of a file that `parseNpy` needs to see. */
export const NPY_PREFIX = HEADER_LIMIT + 12;

/** Reads the header of an npy array of version 1 to 3 from the first bytes of a file. */
export function parseNpy(where: string, bytes: Uint8Array): NpyHeader {
  const fail = (what: string): FlowError => new FlowError("E_FORMAT", `${where} ${what}`);
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < 10 || view.compare(magic, 0, 6, 0, 6) !== 0) throw fail("is no npy array");
  const version = view[6]!;
  if (version < 1 || version > 3) throw fail(`is an npy array of version ${version}, expected 1, 2 or 3`);
  const start = version === 1 ? 10 : 12;
  if (view.length < start) throw fail("is cut off inside its header");
  const length = version === 1 ? view.readUInt16LE(8) : view.readUInt32LE(8);
  if (length > HEADER_LIMIT) throw fail(`has an npy header of ${length} bytes, expected at most ${HEADER_LIMIT}`);
  if (view.length < start + length) throw fail("is cut off inside its header");
  const text = view.toString("latin1", start, start + length);
  const shown = JSON.stringify(text.trim().slice(0, 120));
  const dict = /^\{(?<members>.*)\}\s*$/s.exec(text)?.groups?.members;
  if (dict === undefined)
    throw fail(`has the npy header ${shown}, expected {'descr': ..., 'fortran_order': ..., 'shape': ...}`);
  const found = new Map<string, string>();
  const member = /\s*'(?<key>\w+)'\s*:\s*(?<value>'[^']*'|True|False|\([\d,\s]*\)|\[.*\])\s*(?:,|$)/sy;
  while (member.lastIndex < dict.trimEnd().length) {
    const groups = member.exec(dict)?.groups;
    if (groups === undefined) throw fail(`has the npy header ${shown}, which is malformed`);
    if (found.has(groups.key!)) throw fail(`has an npy header with '${groups.key}' twice`);
    found.set(groups.key!, groups.value!);
  }
  const [descr, order, shape] = ["descr", "fortran_order", "shape"].map((key) => found.get(key));
  if (found.size !== 3 || descr === undefined || !/^(?:True|False)$/.test(order ?? "") || !/^\(/.test(shape ?? ""))
    throw fail(`has the npy header ${shown}, expected exactly 'descr', 'fortran_order' and 'shape'`);
  const code = descr.slice(1, -1);
  const dtype = descr.startsWith("'") && Object.hasOwn(descrs, code) ? descrs[code]! : undefined;
  if (dtype === undefined)
    throw fail(
      `has elements of numpy type ${descr.slice(0, 60)}, expected one of ${Object.keys(descrs).join(" ")}; in numpy: x.astype("<f4")`,
    );
  const dimensions = shape!.slice(1, -1).trim();
  if (!/^(?:|\d+\s*,|\d+(?:\s*,\s*\d+)+\s*,?)$/.test(dimensions))
    throw fail(`has the npy shape ${shape}, which is malformed`);
  const sizes = dimensions === "" ? [] : dimensions.replace(/,\s*$/, "").split(",").map(Number);
  if (sizes.length > 32 || !sizes.every(Number.isSafeInteger) || !Number.isSafeInteger(sizeOf(sizes) * 8))
    throw fail(`has the npy shape ${shape!.slice(0, 200)}, more elements than any file holds`);
  return { dtype, shape: sizes, fortranOrder: order === "True", length: start + length };
}

/** The header that numpy writes before such elements in C order. */
export function npyHeader(dtype: DType, shape: readonly number[]): Uint8Array {
  const descr = Object.keys(descrs).find((code) => descrs[code] === dtype)!;
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
  // Elements begin at a multiple of 64; numpy leaves room for the first axis to grow to 21 digits.
  const grown = dict + " ".repeat(Math.max(0, 21 - String(shape[0] ?? "").length));
  const length = Math.ceil((10 + grown.length + 1) / 64) * 64;
  const header = Buffer.alloc(length, " ");
  magic.copy(header);
  header[6] = 1;
  header[7] = 0;
  header.writeUInt16LE(length - 10, 8);
  header.write(dict, 10, "latin1");
  header[length - 1] = 10;
  return header;
}
