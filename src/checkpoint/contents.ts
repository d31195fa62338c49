import { opendir, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { FlowError } from "../core/errors.js";
import { absent, errnoOf, plainKind, reading } from "./files.js";
import { DONE, META, parseTemporaryName, STATE } from "./layout.js";

// No model has as many variables; a directory that has could fill the memory with names alone.
const MOST_ENTRIES = 20_000;

/** Throws E_CKPT_DIR unless `dir` is a directory, and not what an interrupted save left. A link to one will do. */
export async function checkDirectory(where: string, dir: string): Promise<void> {
  if (dir.includes("\0"))
    throw new FlowError("E_CKPT_DIR", `${where}: the path has a NUL in it, which no system can open`);
  const nowhere = (error: unknown): undefined => (errnoOf(error) === "ELOOP" ? undefined : absent(error));
  const kind = await reading(where, dir, () => stat(dir).catch(nowhere));
  if (kind?.isDirectory() !== true) {
    const what = kind === undefined ? "does not exist" : "is not a directory";
    const fix = "give the directory that a save wrote, or use init() to start afresh";
    throw new FlowError("E_CKPT_DIR", `${where}: '${dir}' ${what}; ${fix}`);
  }
  if (parseTemporaryName(basename(resolve(dir))) !== undefined) {
    const what = `'${dir}' is what an interrupted save left behind, not a checkpoint`;
    const fix = "load a finished one, the next save to the same path removes this";
    throw new FlowError("E_CKPT_DIR", `${where}: ${what}; ${fix}`);
  }
}

/**
 * Names of the folders in `dir` that may hold a variable, in order: all but hidden ones and the mark. Links and names that
 * differ only in case are refused (E_CKPT_UNSAFE), other files ignored.
 */
export async function foldersOf(where: string, dir: string): Promise<readonly string[]> {
  const entries = await entriesOf(where, dir);
  const names: string[] = [];
  for (const { name, kind } of entries) {
    if (name.startsWith(".") || name === DONE || name === STATE) continue;
    // The name of what is no folder can still be a variable's: a link or FIFO there is refused, not overlooked.
    if (kind === "directory") names.push(name);
    else if (kind === "other") await reading(where, `${dir}/${name}`, () => plainKind(where, `${dir}/${name}`));
  }
  const seen = new Map<string, string>();
  for (const name of names.sort()) {
    const other = seen.get(name.toLowerCase());
    if (other !== undefined)
      throw new FlowError(
        "E_CKPT_UNSAFE",
        `${where}: the folders ${shown(other)} and ${shown(name)} in '${dir}' are one on file systems that ignore case; remove or rename one of them`,
      );
    seen.set(name.toLowerCase(), name);
  }
  return names;
}

/** Name of the file with a variable's elements in its folder: `out`, else the only one beside `meta`; undefined where there is none. */
export async function dataFileOf(where: string, folder: string): Promise<string | undefined> {
  const files = (await entriesOf(where, folder)).filter(({ name }) => name !== META && !name.startsWith("."));
  if (files.some(({ name }) => name === "out")) return "out";
  return files.length === 1 ? files[0]!.name : undefined;
}

/** Whether the save of `dir` was marked as finished. */
export async function isMarked(where: string, dir: string): Promise<boolean> {
  const path = `${dir}/${DONE}`;
  return (await reading(where, path, () => plainKind(where, path))) !== undefined;
}

interface Entry {
  readonly name: string;
  readonly kind: "file" | "directory" | "other";
}

async function entriesOf(where: string, dir: string): Promise<readonly Entry[]> {
  return reading(where, dir, async () => {
    const entries: Entry[] = [];
    for await (const entry of await opendir(dir)) {
      if (entries.length === MOST_ENTRIES)
        throw new FlowError("E_CKPT_UNSAFE", `${where}: '${dir}' has more than ${MOST_ENTRIES} entries`);
      entries.push({
        name: entry.name,
        kind: entry.isFile() ? "file" : entry.isDirectory() ? "directory" : "other",
      });
    }
    return entries;
  });
}

/** A name from a directory as a message shows it: control characters stay off the terminal. */
export function shown(name: string): string {
  return /^[\x20-\x7e]*$/.test(name) ? `'${name}'` : JSON.stringify(name);
}
