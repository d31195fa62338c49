import type { Stats } from "node:fs";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { FlowError } from "../core/errors.js";
import { type Hash, hashHere } from "./hash.js";
import { lookAt, type OpenFile, openFile } from "./small-calls.js";

// Hashing 1 MiB takes a millisecond or two; between pieces the event loop turns.
export const PIECE = 1 << 20;

/** What is used of fs-extra, whose own types a user's compiler does not find. */
interface FsExtra {
  rename(from: string, to: string): Promise<void>;
  /** A file, or a folder with all in it; nothing where there is none. */
  remove(path: string): Promise<void>;
}

/** fs-extra, which takes 20 ms to load: what only imports the package does not wait for it. */
export const fsExtra = async (): Promise<FsExtra> => (await import("fs-extra")).default;

/** The code of a system error (`ENOENT`, ...), or undefined for every other value. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "syscall" in error && "code" in error ? String(error.code) : undefined;
}

/** Undefined for the error of a path that leads to nothing; every other error is thrown again. */
export function absent(error: unknown): undefined {
  const code = errnoOf(error);
  if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
}

// --- writing -------------------------------------------------------------------------------------------------------

/** Bytes in order, piece by piece. */
export type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

// The disk writes while more is hashed, instead of all at the end.
const FLUSH = 1 << 25;

/** Writes a new file piece by piece, flushes it to the disk, and gives the hash of its bytes. */
export async function writeSynced(path: string, pieces: Pieces, hash: Hash = hashHere()): Promise<string> {
  const file = await open(path, "wx");
  try {
    let start = 0;
    let flushed = 0;
    let flushing: Promise<void> | undefined;
    for await (const piece of pieces) {
      // Hashed while the piece is on its way to the system.
      await Promise.all([writeAll(file, piece, start), hash.update(piece)]);
      start += piece.byteLength;
      if (start - flushed < FLUSH) continue;
      await flushing;
      flushing = file.datasync();
      // Its failure is thrown by the next `await`; until then nobody looks.
      flushing.catch(() => undefined);
      flushed = start;
    }
    await flushing;
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest();
}

async function writeAll(file: FileHandle, bytes: Uint8Array, start: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; )
    done += (await file.write(bytes, done, bytes.byteLength - done, start + done)).bytesWritten;
}

// What says that directories cannot be flushed here: some network file systems, and Windows always.
const cannotSync = new Set(
  process.platform === "win32" ? ["EPERM", "EISDIR", "EACCES", "EINVAL"] : ["EINVAL", "ENOTSUP"],
);

/** Flushes a directory's entries to the disk, where the system can. */
export async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    if (!cannotSync.has(errnoOf(error) ?? "")) throw error;
  }
}

// --- reading what a stranger may have made -------------------------------------------------------------------------

/**
 * What is at `path` itself, or undefined where nothing is. Links, FIFOs, sockets and devices are refused with E_CKPT_UNSAFE:
 * a link may lead out of the checkpoint, opening the others may wait for ever.
 */
export async function plainKind(where: string, path: string): Promise<"file" | "directory" | undefined> {
  const kind = await lookAt(path).catch(absent);
  return kind === undefined ? undefined : checkPlain(where, path, kind);
}

/** Bytes of the plain file at `path`, or undefined where nothing is. */
export async function plainSize(where: string, path: string): Promise<number | undefined> {
  const kind = await lookAt(path).catch(absent);
  if (kind === undefined) return undefined;
  if (checkPlain(where, path, kind) === "directory") refuseFolder(where, path);
  return kind.size;
}

function refuseFolder(where: string, path: string): never {
  throw new FlowError("E_CKPT_IO", `${where}: '${path}' is not a file, expected one`);
}

function checkPlain(where: string, path: string, kind: Stats): "file" | "directory" {
  if (kind.isFile()) return "file";
  if (kind.isDirectory()) return "directory";
  const what = kind.isSymbolicLink() ? "a link" : kind.isFIFO() ? "a FIFO" : kind.isSocket() ? "a socket" : "a device";
  throw new FlowError(
    "E_CKPT_UNSAFE",
    `${where}: '${path}' is ${what}, expected a plain file or folder; nothing was read from it. Copy what it stands for into its place (cp -rL)`,
  );
}

// Absent on Windows, where neither FIFOs nor links are opened by accident.
const NO_WAIT = constants.O_NONBLOCK ?? 0;
const NO_LINK = constants.O_NOFOLLOW ?? 0;

/**
 * Runs `work` on the plain file at `path`; undefined where nothing is there. Whatever took its place since it was looked at is
 * refused too: the open one counts.
 */
export async function withPlainFile<T>(
  where: string,
  path: string,
  work: (file: OpenFile, size: number) => Promise<T>,
): Promise<T | undefined> {
  if ((await plainSize(where, path)) === undefined) return undefined;
  const file = await openFile(path, constants.O_RDONLY | NO_WAIT | NO_LINK);
  try {
    const opened = await file.stat();
    if (checkPlain(where, path, opened) === "directory") refuseFolder(where, path);
    return await work(file, opened.size);
  } finally {
    await file.close();
  }
}

/** The text of a small file, or undefined where it is absent; E_CKPT_META where it is longer than `limit` bytes. */
export async function readSmall(where: string, path: string, limit: number): Promise<string | undefined> {
  return withPlainFile(where, path, async (file, size) => {
    if (size > limit)
      throw new FlowError("E_CKPT_META", `${where}: '${path}' has ${size} bytes, expected at most ${limit}`);
    const bytes = new Uint8Array(size);
    const length = await streamFile(file, size, { place: (start, count) => bytes.subarray(start, start + count) });
    return Buffer.from(bytes.buffer, 0, length).toString("utf8");
  });
}

export interface StreamOptions {
  /** Memory for bytes [start, start + length): the final place of the elements, or a buffer used again. */
  readonly place: (start: number, length: number) => Uint8Array;
  /** Called with each piece in order. */
  readonly took?: (piece: Uint8Array, start: number) => void;
  /** Takes each piece in order. */
  readonly hash?: Hash | undefined;
}

/** Reads at most `size` bytes of a file, piece by piece; gives how many there were. */
export async function streamFile(file: OpenFile, size: number, { place, took, hash }: StreamOptions): Promise<number> {
  let length = 0;
  while (length < size) {
    const into = place(length, Math.min(PIECE, size - length));
    let got = 0;
    while (got < into.byteLength) {
      const more = await file.read(into.subarray(got), length + got);
      if (more === 0) break;
      got += more;
    }
    const piece = into.subarray(0, got);
    await hash?.update(piece);
    took?.(piece, length);
    length += got;
    if (got < into.byteLength) break;
  }
  return length;
}

/** A `place` that is used again for each piece: for bytes that are looked at and dropped. */
export function scratch(size: number): StreamOptions["place"] {
  const buffer = new Uint8Array(Math.min(PIECE, size));
  return (_start, length) => buffer.subarray(0, length);
}

/** Runs `work`; the system's refusals become E_CKPT_IO. */
export async function reading<T>(where: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    // What became a link after it was looked at.
    if (code === "ELOOP")
      throw new FlowError("E_CKPT_UNSAFE", `${where}: '${path}' is a link, expected a plain file`, { cause: error });
    const message = `${where}: cannot read '${path}': ${(error as Error).message}; no variable was changed`;
    throw new FlowError("E_CKPT_IO", message, { cause: error });
  }
}

/**
 * Results of `work` in the order of `items`, a few at a time. After a failure nothing new starts, what runs is waited for, and the
 * error of the first failing item is thrown: the same one each time.
 */
export async function mapBounded<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  let failedAt = Number.POSITIVE_INFINITY;
  let failure: unknown;
  const worker = async (): Promise<void> => {
    while (failedAt === Number.POSITIVE_INFINITY && next < items.length) {
      const at = next++;
      try {
        results[at] = await work(items[at]!);
      } catch (error) {
        if (at < failedAt) [failedAt, failure] = [at, error];
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(8, items.length) }, worker));
  if (failedAt < items.length) throw failure;
  return results;
}
