import { createHash } from "node:crypto";
import { open } from "node:fs/promises";

// Hashing 1 MiB takes a millisecond or two; between pieces the event loop turns.
const PIECE = 1 << 20;

/** The code of a system error (`ENOENT`, ...), or undefined for every other value. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "syscall" in error && "code" in error ? String(error.code) : undefined;
}

/** Writes a new file, flushes it to the disk, and gives the SHA-256 of its bytes in hex. */
export async function writeSynced(path: string, bytes: Uint8Array): Promise<string> {
  const hash = createHash("sha256");
  const file = await open(path, "wx");
  try {
    for (let start = 0; start < bytes.byteLength; start += PIECE) {
      const piece = bytes.subarray(start, start + PIECE);
      hash.update(piece);
      await file.writeFile(piece);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

/** Fills `bytes` from the start of a file; gives how many there were and their SHA-256 in hex. */
export async function readInto(
  path: string,
  bytes: Uint8Array,
): Promise<{ readonly length: number; readonly sha256: string }> {
  const hash = createHash("sha256");
  const file = await open(path, "r");
  let length = 0;
  try {
    while (length < bytes.byteLength) {
      const { bytesRead } = await file.read(bytes, length, Math.min(PIECE, bytes.byteLength - length), length);
      if (bytesRead === 0) break;
      hash.update(bytes.subarray(length, length + bytesRead));
      length += bytesRead;
    }
  } finally {
    await file.close();
  }
  return { length, sha256: hash.digest("hex") };
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
  await Promise.all(Array.from({ length: 8 }, worker));
  if (failedAt < items.length) throw failure;
  return results;
}
