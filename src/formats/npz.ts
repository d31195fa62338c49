import { Readable } from "node:stream";
import type { Entry, ZipFile } from "yauzl";
import { PIECE } from "../checkpoint/files.js";
import { byteSize } from "../core/dtype.js";
import { FlowError } from "../core/errors.js";
import { sizeOf, typeText } from "../core/shape.js";
import { openFile, refusal, writeFileAside } from "./file.js";
import type { ModelFile, ModelVariable, TypedVariable } from "./model.js";
import { NPY_PREFIX, type NpyHeader, npyHeader, parseNpy } from "./npy.js";

const MOST_ENTRIES = 50_000;
// The lists of a zip file's entries beyond which it is an attack.
const MOST_NAME_BYTES = 1 << 23;

/**
 * Opens a numpy .npz file: a zip, stored or deflated, zip64 too, of .npy arrays. Arrays in Fortran order are turned to C order,
 * in memory; rank 0 is given as `[1]`. `wanted` leaves arrays out before their type is looked at.
 */
export async function openNpz(
  where: string,
  path: string,
  wanted: (name: string) => boolean = () => true,
): Promise<ModelFile> {
  const { file } = await openFile(where, path);
  await file.close();
  const fail = (what: string, cause?: unknown): FlowError =>
    new FlowError("E_FORMAT", `${where}: '${path}' ${what}`, cause === undefined ? {} : { cause });
  // Loaded with the first zip file only.
  const { openPromise } = await import("yauzl");
  const zip = await openPromise(path, { lazyEntries: true, autoClose: false, strictFileNames: true }).catch(
    (error: unknown) => {
      throw refusal(where, path, error) === error
        ? fail(`is no zip file, or is damaged (${(error as Error).message})`, error)
        : refusal(where, path, error);
    },
  );
  try {
    const entries = await listed(zip, fail);
    const variables: ModelVariable[] = [];
    for (const [name, entry] of entries) {
      if (wanted(name)) variables.push(await variableOf(zip, entry, name, `${where}: '${path}'`, fail));
    }
    variables.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { path, format: "npz", variables, state: undefined, close: async () => zip.close() };
  } catch (error) {
    zip.close();
    throw refusal(where, path, error);
  }
}

type Fail = (what: string, cause?: unknown) => FlowError;

async function listed(zip: ZipFile, fail: Fail): Promise<ReadonlyMap<string, Entry>> {
  if (zip.entryCount > MOST_ENTRIES) throw fail(`has ${zip.entryCount} entries, expected at most ${MOST_ENTRIES}`);
  const entries = new Map<string, Entry>();
  let nameBytes = 0;
  try {
    for await (const entry of zip.eachEntry()) {
      nameBytes += entry.fileNameLength + entry.extraFieldLength + entry.fileCommentLength;
      if (nameBytes > MOST_NAME_BYTES) throw fail(`has more than ${MOST_NAME_BYTES} bytes of names`);
      const name = entry.fileName.replace(/\.npy$/, "");
      if (name === entry.fileName)
        throw fail(`has the entry ${JSON.stringify(entry.fileName)}, expected .npy arrays only`);
      if (entries.has(name)) throw fail(`has ${JSON.stringify(name)} twice`);
      if (entry.isEncrypted()) throw fail(`has the encrypted entry ${JSON.stringify(name)}`);
      if (entry.compressionMethod !== 0 && entry.compressionMethod !== 8)
        throw fail(`has ${JSON.stringify(name)} in zip method ${entry.compressionMethod}, expected stored or deflated`);
      entries.set(name, entry);
    }
  } catch (error) {
    throw error instanceof FlowError ? error : fail(`has a damaged directory (${(error as Error).message})`, error);
  }
  return entries;
}

async function variableOf(zip: ZipFile, entry: Entry, name: string, at: string, fail: Fail): Promise<ModelVariable> {
  const label = JSON.stringify(name);
  const header = parseNpy(`${at}, array ${label},`, await prefix(zip, entry, label, fail));
  const shape = header.shape.length === 0 ? [1] : header.shape;
  const bytes = sizeOf(shape) * byteSize(header.dtype);
  const got = entry.uncompressedSize - header.length;
  if (got !== bytes)
    throw fail(`has ${got} bytes for ${label}, ${typeText(header.dtype, header.shape)} needs ${bytes}`);
  const flat = (): AsyncIterable<Uint8Array> => rechunked(elements(zip, entry, label, header.length, bytes, fail));
  const turned = header.fortranOrder && shape.filter((d) => d > 1).length > 1;
  return {
    name,
    type: { dtype: header.dtype, shape },
    bytes,
    fileName: "out",
    pieces: turned ? () => rowMajor(flat(), header, bytes) : flat,
  };
}

async function opened(zip: ZipFile, entry: Entry, label: string, fail: Fail): Promise<Readable> {
  try {
    return await zip.openReadStreamPromise(entry);
  } catch (error) {
    throw fail(`cannot give ${label} (${(error as Error).message})`, error);
  }
}

async function prefix(zip: ZipFile, entry: Entry, label: string, fail: Fail): Promise<Uint8Array> {
  const stream = await opened(zip, entry, label, fail);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of stream) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length >= NPY_PREFIX) break;
    }
  } catch (error) {
    throw fail(`has ${label} damaged (${(error as Error).message})`, error);
  }
  return Buffer.concat(chunks);
}

/** What follows the header, its number of bytes and its CRC-32 checked. */
async function* elements(
  zip: ZipFile,
  entry: Entry,
  label: string,
  skip: number,
  bytes: number,
  fail: Fail,
): AsyncGenerator<Uint8Array> {
  const stream = await opened(zip, entry, label, fail);
  let at = 0;
  let crc = 0;
  // Node before 20.15 lacks it: there the sizes alone are checked.
  const { crc32 } = (await import("node:zlib")) as Partial<typeof import("node:zlib")>;
  try {
    for await (const chunk of stream) {
      const piece = chunk as Buffer;
      crc = crc32?.(piece, crc) ?? entry.crc32;
      const from = Math.min(piece.length, Math.max(0, skip - at));
      at += piece.length;
      if (from < piece.length) yield piece.subarray(from);
    }
  } catch (error) {
    throw fail(`has ${label} damaged (${(error as Error).message})`, error);
  }
  if (at !== skip + bytes) throw fail(`has ${at} bytes in ${label}, its directory says ${skip + bytes}`);
  if (crc !== entry.crc32)
    throw fail(`has ${label} damaged: its CRC-32 is ${hex(crc)}, the directory says ${hex(entry.crc32)}`);
}

const hex = (value: number): string => value.toString(16).padStart(8, "0");

/** The same bytes in pieces of `PIECE` bytes, in one buffer used again. */
async function* rechunked(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(PIECE);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const count = Math.min(PIECE - filled, chunk.length - at);
      buffer.set(chunk.subarray(at, at + count), filled);
      filled += count;
      at += count;
      if (filled < PIECE) continue;
      yield buffer;
      filled = 0;
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled);
}

/** Elements in Fortran order as pieces in C order. */
async function* rowMajor(
  pieces: AsyncIterable<Uint8Array>,
  { dtype, shape }: NpyHeader,
  bytes: number,
): AsyncGenerator<Uint8Array> {
  const source = new Uint8Array(bytes);
  let filled = 0;
  for await (const piece of pieces) {
    source.set(piece, filled);
    filled += piece.length;
  }
  const width = byteSize(dtype);
  const strides = shape.map((_, axis) => sizeOf(shape.slice(0, axis)) * width);
  const index = shape.map(() => 0);
  const count = sizeOf(shape);
  for (let start = 0; start < count; start += PIECE / width) {
    const piece = new Uint8Array(Math.min(PIECE, (count - start) * width));
    for (let at = 0; at < piece.length; at += width) {
      let from = 0;
      for (let axis = 0; axis < index.length; axis++) from += index[axis]! * strides[axis]!;
      for (let byte = 0; byte < width; byte++) piece[at + byte] = source[from + byte]!;
      for (let axis = index.length - 1; axis >= 0 && ++index[axis]! === shape[axis]; axis--) index[axis] = 0;
    }
    yield piece;
  }
}

/** Writes a .npz file as `numpy.savez` does: stored, one .npy array a variable. Equal variables give equal bytes. */
export async function writeNpz(
  where: string,
  path: string,
  variables: readonly TypedVariable[],
  options: { readonly overwrite?: boolean } = {},
): Promise<void> {
  const { ZipFile } = await import("yazl");
  const zip = new ZipFile();
  let broken: unknown;
  const output = zip.outputStream as Readable;
  const stop = (error: unknown): void => {
    broken = error;
    output.destroy(error as Error);
  };
  zip.on("error", stop);
  // The oldest time a zip file knows: the same variables shall give the same bytes.
  const settings = { compress: false, mtime: new Date(1980, 0, 1), mode: 0o100644, forceDosTimestamp: true };
  for (const variable of [...variables].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const header = npyHeader(variable.type.dtype, variable.type.shape);
    async function* bytes(): AsyncGenerator<Uint8Array> {
      yield header;
      // The zip library holds on to pieces.
      for await (const piece of variable.pieces({ verify: true })) yield Buffer.from(piece);
    }
    try {
      zip.addReadStreamLazy(`${variable.name}.npy`, { ...settings, size: header.length + variable.bytes }, (give) => {
        const stream = Readable.from(bytes(), { objectMode: false, highWaterMark: PIECE });
        stream.on("error", stop);
        give(null, stream);
      });
    } catch (error) {
      throw new FlowError(
        "E_NAME",
        `${where}: ${JSON.stringify(variable.name)} cannot name an array in a zip file (${(error as Error).message}); rename it`,
        { cause: error },
      );
    }
  }
  zip.end();
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      yield* output as AsyncIterable<Uint8Array>;
    } catch (error) {
      throw broken ?? error;
    }
  }
  await writeFileAside(where, path, all(), options);
}
