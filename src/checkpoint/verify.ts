import { randomBytes } from "node:crypto";
import { readdir, rename, rm } from "node:fs/promises";
import { byteSize, type DType } from "../core/dtype.js";
import { FlowError } from "../core/errors.js";
import { type Shape, sizeOf, typeText } from "../core/shape.js";
import { checkDirectory, dataFileOf, foldersOf, isMarked, shown } from "./contents.js";
import {
  errnoOf,
  mapBounded,
  reading,
  scratch,
  streamFile,
  syncDirectory,
  withPlainFile,
  writeSynced,
} from "./files.js";
import { type Hashing, withHashing } from "./hash.js";
import { META, STATE } from "./layout.js";
import { type Meta, metaBytes, type RunState, readMeta, readState, restampedState } from "./meta.js";

/** One variable of a checkpoint, as its folder shows it. */
export interface VerifiedVariable {
  readonly name: string;
  /** Name of the file that holds the elements; undefined where there is none, or several of which none is `out`. */
  readonly fileName: string | undefined;
  readonly bytes: number;
  /** SHA-256 of the elements' bytes, in hex. */
  readonly sha256: string | undefined;
  /** What `meta` says; undefined without one, as OneFlow leaves it: nothing vouches for the elements then. */
  readonly meta: Meta | undefined;
  /** What is wrong, or undefined. */
  readonly problem: FlowError | undefined;
}

export interface VerifyReport {
  readonly dir: string;
  /** The mark is there: its save finished. */
  readonly marked: boolean;
  /** Seed, call counts and extras; undefined without `onestep.json`, or where that is damaged. */
  readonly state: RunState | undefined;
  /** By name. */
  readonly variables: readonly VerifiedVariable[];
  /** Everything that is wrong, in order: damage of `onestep.json`, then of variables. Empty: the checkpoint is whole. */
  readonly problems: readonly FlowError[];
  /** Complete beyond doubt: no problem, and either marked or vouched for by a `meta` for every variable. */
  readonly finished: boolean;
}

/**
 * Checks every file of the checkpoint at `dir` against its `meta`, without a program. What is wrong inside is in the report; only
 * what cannot be a checkpoint (no directory, what an interrupted save left, no variable in it, hostile entries) is thrown.
 */
export async function verifyCheckpoint(dir: string): Promise<VerifyReport> {
  const where = `checkpoint.verify('${dir}')`;
  await checkDirectory(where, dir);
  const found = await withHashing(async (hashing) =>
    mapBounded(await foldersOf(where, dir), (name) => verifyVariable(where, dir, name, hashing)),
  );
  const variables = found.filter((variable) => variable !== undefined);
  if (variables.length === 0)
    throw new FlowError("E_CKPT_DIR", `${where}: '${dir}' holds no variable; give the directory that a save wrote`);
  const marked = await isMarked(where, dir);
  const state = await readState(where, `${dir}/${STATE}`).catch(flowError);
  const problems = [state, ...variables.map(({ problem }) => problem)].filter((one) => one instanceof FlowError);
  const vouched = variables.every(({ meta }) => meta !== undefined);
  return {
    dir,
    marked,
    state: state instanceof FlowError ? undefined : state,
    variables,
    problems,
    finished: problems.length === 0 && (marked || vouched),
  };
}

/** Undefined for a folder that holds no variable. */
async function verifyVariable(
  where: string,
  dir: string,
  name: string,
  hashing: Hashing,
): Promise<VerifiedVariable | undefined> {
  const folder = `${dir}/${name}`;
  const metaPath = `${folder}/${META}`;
  let fileName: string | undefined;
  let meta: Meta | undefined;
  let read: { readonly bytes: number; readonly sha256: string | undefined } | undefined;
  try {
    fileName = await dataFileOf(where, folder);
    meta = await readMeta(where, metaPath);
    if (fileName === undefined) {
      if (meta === undefined) return undefined;
      const what = `${shown(name)} has a '${META}', but not one file of elements beside it`;
      throw new FlowError("E_CKPT_SIZE", `${where}: ${what}; they are gone, or other files came in`);
    }
    const path = `${folder}/${fileName}`;
    read = await reading(where, path, () =>
      withPlainFile(where, path, async (file, size) => {
        checkSize(where, name, path, meta, size);
        const hash = await hashing(size);
        const bytes = await streamFile(file, size, { place: scratch(size), hash });
        return { bytes, sha256: await hash.digest() };
      }),
    );
    if (read === undefined) throw new FlowError("E_CKPT_IO", `${where}: '${path}' vanished while it was looked at`);
    checkSize(where, name, path, meta, read.bytes);
    if (meta !== undefined) checkHash(where, dir, path, read.sha256!, metaPath, meta.sha256);
    return { name, fileName, meta, ...read, problem: undefined };
  } catch (error) {
    return { name, fileName, meta, bytes: 0, sha256: undefined, ...read, problem: flowError(error) };
  }
}

function checkSize(where: string, name: string, path: string, meta: Meta | undefined, got: number): void {
  if (meta !== undefined) checkBytes(where, name, path, meta, got);
}

/** E_CKPT_SIZE where a file has another number of bytes than its variable needs. */
export function checkBytes(
  where: string,
  name: string,
  path: string,
  { dtype, shape }: { readonly dtype: DType; readonly shape: Shape },
  got: number,
): void {
  const size = sizeOf(shape) * byteSize(dtype);
  if (got === size) return;
  const need = `variable '${name}' needs ${size} bytes (${typeText(dtype, shape)})`;
  throw new FlowError("E_CKPT_SIZE", `${where}: ${need}, '${path}' has ${got}`);
}

/** E_CKPT_HASH, with both hashes, where the bytes of a file are not those of its `meta`. */
export function checkHash(
  where: string,
  dir: string,
  path: string,
  got: string,
  metaPath: string,
  expected: string,
): void {
  if (got === expected) return;
  const what = `'${path}' has sha256 ${got}, '${metaPath}' says ${expected}`;
  const fix = `it was damaged or edited after its save; changed on purpose? onestep verify --accept ${dir}`;
  throw new FlowError("E_CKPT_HASH", `${where}: ${what}: ${fix}`);
}

function flowError(error: unknown): FlowError {
  if (error instanceof FlowError) return error;
  throw error;
}

/**
 * Takes what was changed on purpose as it is: makes the hash in `meta` (and in `onestep.json`) fit, wherever it does not. Returns
 * the names of the variables and files it did so for. Any other problem is thrown before anything changes; a crash leaves each file old or new.
 */
export async function acceptCheckpoint(dir: string): Promise<readonly string[]> {
  const where = `checkpoint.accept('${dir}')`;
  const { variables, problems } = await verifyCheckpoint(dir);
  const other = problems.find(({ code }) => code !== "E_CKPT_HASH");
  if (other !== undefined) throw other;
  const changed = variables.filter(({ problem }) => problem !== undefined);
  const accepted: string[] = [];
  const accept = async (name: string, folder: string, file: string, bytes: Uint8Array): Promise<void> => {
    const aside = `${folder}/.${file}.${randomBytes(6).toString("hex")}.saving`;
    try {
      // What an accept that crashed left.
      for (const entry of await readdir(folder))
        if (entry.startsWith(`.${file}.`) && entry.endsWith(".saving")) await rm(`${folder}/${entry}`, { force: true });
      await writeSynced(aside, [bytes]);
      await rename(aside, `${folder}/${file}`);
      await syncDirectory(folder);
    } catch (error) {
      await rm(aside, { force: true }).catch(() => {});
      if (errnoOf(error) === undefined) throw error;
      const done = accepted.length > 0 ? `accepted before it: ${accepted.join(", ")}` : "nothing was changed";
      const message = `${where}: cannot write '${folder}/${file}': ${(error as Error).message}; ${done}`;
      throw new FlowError("E_CKPT_IO", message, { cause: error });
    }
    accepted.push(name);
  };
  for (const { name, meta, sha256 } of changed)
    await accept(name, `${dir}/${name}`, META, metaBytes({ ...meta!, sha256: sha256! }));
  if (changed.length < problems.length) await accept(STATE, dir, STATE, await restampedState(where, `${dir}/${STATE}`));
  return accepted;
}
