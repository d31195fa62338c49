import { constants } from "node:fs";
import { type FileHandle, lstat, open, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { absent, errnoOf, fsExtra, PIECE, type Pieces } from "../checkpoint/files.js";
import { guarded, placeAside } from "../checkpoint/write.js";
import { FlowError } from "../core/errors.js";

/** Opens a file to read; a link to one will do. E_CKPT_DIR where there is none, E_CKPT_UNSAFE for a FIFO or device. */
export async function openFile(
  where: string,
  path: string,
): Promise<{ readonly file: FileHandle; readonly size: number }> {
  try {
    const kind = await stat(path).catch(absent);
    if (kind === undefined)
      throw new FlowError(
        "E_CKPT_DIR",
        `${where}: '${path}' does not exist; give a model file or a checkpoint directory`,
      );
    if (!kind.isFile())
      throw new FlowError(
        "E_CKPT_UNSAFE",
        `${where}: '${path}' is ${kind.isDirectory() ? "a directory" : "no plain file"}, expected a file`,
      );
    // What took its place since must not make this wait.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const opened = await file.stat();
    if (opened.isFile()) return { file, size: opened.size };
    await file.close();
    throw new FlowError("E_CKPT_UNSAFE", `${where}: '${path}' is no plain file, expected one`);
  } catch (error) {
    throw refusal(where, path, error);
  }
}

/** E_CKPT_IO for what the system refused; every other error as it is. */
export function refusal(where: string, path: string, error: unknown): unknown {
  if (errnoOf(error) === undefined) return error;
  return new FlowError("E_CKPT_IO", `${where}: cannot read '${path}': ${(error as Error).message}`, { cause: error });
}

/** Bytes [start, start + size) of a file in pieces of `piece` bytes, two buffers in turn; `cut` is thrown where it ends before. */
export async function* filePieces(
  file: FileHandle,
  start: number,
  size: number,
  cut: () => FlowError,
  piece = PIECE,
): AsyncGenerator<Uint8Array> {
  const buffers = [0, 1].map(() => new Uint8Array(Math.min(piece, size)));
  for (let at = 0, turn = 0; at < size; turn ^= 1) {
    const into = buffers[turn]!.subarray(0, Math.min(piece, size - at));
    for (let got = 0; got < into.length; ) {
      const { bytesRead } = await file.read(into, got, into.length - got, start + at + got);
      if (bytesRead === 0) throw cut();
      got += bytesRead;
    }
    at += into.length;
    yield into;
  }
}

/**
 * Writes a file aside, flushes it and renames it to `path`: after a crash there is the old file or the new one. An existing file
 * is refused (E_CKPT_EXISTS) unless `overwrite` is true.
 */
export async function writeFileAside(
  where: string,
  path: string,
  pieces: Pieces,
  { overwrite = false }: { readonly overwrite?: boolean } = {},
): Promise<void> {
  const target = resolve(path);
  await guarded(where, path, async () => {
    const parent = await stat(dirname(target)).catch(absent);
    if (parent?.isDirectory() !== true)
      throw new FlowError(
        "E_CKPT_DIR",
        `${where}: its parent '${dirname(target)}' ${parent === undefined ? "does not exist" : "is not a directory"}; create that directory first`,
      );
    const kind = await lstat(target).catch(absent);
    if (kind?.isDirectory() === true || (kind !== undefined && !overwrite)) {
      const fix = kind.isDirectory() ? "give the path of a file" : "choose another path or remove it first";
      throw new FlowError(
        "E_CKPT_EXISTS",
        `${where}: '${path}' exists${kind.isDirectory() ? " and is a directory" : ""}; ${fix}`,
      );
    }
  });
  await placeAside(where, path, join(dirname(target), basename(target)), async (aside) => {
    const file = await open(aside, "wx");
    try {
      for await (const piece of pieces) {
        for (let done = 0; done < piece.byteLength; )
          done += (await file.write(piece, done, piece.byteLength - done)).bytesWritten;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await (await fsExtra()).rename(aside, target);
  });
}
