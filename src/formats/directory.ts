import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { checkDirectory, dataFileOf, foldersOf } from "../checkpoint/contents.js";
import { mapBounded, reading, withPlainFile } from "../checkpoint/files.js";
import { META, STATE } from "../checkpoint/layout.js";
import type { RunState } from "../checkpoint/meta.js";
import { type Meta, readMeta, readState } from "../checkpoint/meta.js";
import { checkBytes, checkHash } from "../checkpoint/verify.js";
import { saveElements } from "../checkpoint/write.js";
import { FlowError } from "../core/errors.js";
import { filePieces, openFile, refusal } from "./file.js";
import type { ModelFile, ModelVariable, TypedVariable } from "./model.js";

/** Opens a checkpoint directory; a variable without `meta` has no type. E_CKPT_DIR where it holds none. */
export async function openDirectory(
  where: string,
  dir: string,
  wanted: (name: string) => boolean = () => true,
): Promise<ModelFile> {
  await checkDirectory(where, dir);
  const folders = (await foldersOf(where, dir)).filter(wanted);
  const found = await mapBounded(folders, (name) => variableOf(where, dir, name));
  const variables = found.filter((variable) => variable !== undefined);
  if (variables.length === 0)
    throw new FlowError("E_CKPT_DIR", `${where}: '${dir}' holds no variable; give the directory that a save wrote`);
  const state = await readState(where, `${dir}/${STATE}`);
  return { path: dir, format: "directory", variables, state, close: async () => {} };
}

async function variableOf(where: string, dir: string, name: string): Promise<ModelVariable | undefined> {
  const folder = `${dir}/${name}`;
  const fileName = await dataFileOf(where, folder);
  const metaPath = `${folder}/${META}`;
  const meta = await readMeta(where, metaPath);
  if (fileName === undefined) {
    if (meta === undefined) return undefined;
    throw new FlowError("E_CKPT_SIZE", `${where}: '${folder}' has a '${META}', but not one file of elements beside it`);
  }
  const path = `${folder}/${fileName}`;
  const bytes = await reading(where, path, () => withPlainFile(where, path, async (_, size) => size));
  if (bytes === undefined) throw new FlowError("E_CKPT_IO", `${where}: '${path}' vanished while it was looked at`);
  if (meta !== undefined) checkBytes(where, name, path, meta, bytes);
  return {
    name,
    type: meta,
    bytes,
    fileName,
    pieces: ({ verify = false } = {}) => piecesOf(where, dir, path, metaPath, bytes, verify ? meta : undefined),
  };
}

async function* piecesOf(
  where: string,
  dir: string,
  path: string,
  metaPath: string,
  bytes: number,
  meta: Meta | undefined,
): AsyncGenerator<Uint8Array> {
  const { file } = await openFile(where, path);
  try {
    const hash = meta === undefined ? undefined : createHash("sha256");
    for await (const piece of plainPieces(where, path, file, bytes)) {
      hash?.update(piece);
      yield piece;
    }
    if (meta !== undefined) checkHash(where, dir, path, hash!.digest("hex"), metaPath, meta.sha256);
  } finally {
    await file.close();
  }
}

async function* plainPieces(where: string, path: string, file: FileHandle, bytes: number): AsyncGenerator<Uint8Array> {
  try {
    yield* filePieces(
      file,
      0,
      bytes,
      () => new FlowError("E_CKPT_SIZE", `${where}: '${path}' was cut off while it was read`),
    );
  } catch (error) {
    throw refusal(where, path, error);
  }
}

/** Writes a checkpoint directory as `checkPoint.save` does: aside, flushed, marked, renamed. */
export async function writeDirectory(
  where: string,
  dir: string,
  variables: readonly TypedVariable[],
  state: RunState | undefined,
): Promise<void> {
  const bool = variables.find(({ type }) => type.dtype === "bool");
  if (bool !== undefined)
    throw new FlowError(
      "E_DTYPE",
      `${where}: '${bool.name}' is bool, which no variable can be; exclude it or cast it to uint8 first`,
    );
  const stored = variables.map((variable) => ({
    ...variable.type,
    name: variable.name,
    fileName: variable.fileName,
    variable,
  }));
  await saveElements(where, dir, stored, ({ variable }) => variable.pieces({ verify: true }), state);
}
