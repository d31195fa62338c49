import { stat } from "node:fs/promises";
import { extname } from "node:path";
import type { RunState } from "../checkpoint/meta.js";
import { openDirectory, writeDirectory } from "./directory.js";
import type { ModelFile, ModelFormat, TypedVariable } from "./model.js";
import { openNpz, writeNpz } from "./npz.js";
import { openSafetensors, writeSafetensors } from "./safetensors.js";

const extensions: Readonly<Record<string, ModelFormat>> = { ".safetensors": "safetensors", ".npz": "npz" };

/** The format that a path's extension stands for; a directory where it is no known one. */
export function formatOf(path: string): ModelFormat {
  return extensions[extname(path).toLowerCase()] ?? "directory";
}

/** Opens a checkpoint directory, a `.safetensors` or a `.npz` file. `wanted` leaves variables out before anything else of them is looked at. */
export async function openModel(where: string, path: string, wanted?: (name: string) => boolean): Promise<ModelFile> {
  const isDirectory = (await stat(path).catch(() => undefined))?.isDirectory() === true;
  const format = isDirectory ? "directory" : formatOf(path);
  if (format === "safetensors") return openSafetensors(where, path, wanted);
  if (format === "npz") return openNpz(where, path, wanted);
  return openDirectory(where, path, wanted);
}

/** Writes variables in the format of the path's extension; after a crash there is what was before, or all of it. */
export async function writeModel(
  where: string,
  path: string,
  variables: readonly TypedVariable[],
  state: RunState | undefined,
  options: { readonly overwrite?: boolean } = {},
): Promise<void> {
  const format = formatOf(path);
  if (format === "safetensors") return writeSafetensors(where, path, variables, state, options);
  if (format === "npz") return writeNpz(where, path, variables, options);
  return writeDirectory(where, path, variables, state);
}
