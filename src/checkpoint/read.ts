import { byteSize } from "../core/dtype.js";
import { FlowError } from "../core/errors.js";
import { matchesAny, type Pattern, patternList, unusedPatterns } from "../core/pattern.js";
import { sameShape, sizeOf, typeText } from "../core/shape.js";
import { bytesOf, fromHalf, type Tensor, zeros } from "../core/tensor.js";
import { checkDirectory, dataFileOf, foldersOf, isMarked, shown } from "./contents.js";
import { mapBounded, plainKind, plainSize, reading, scratch, streamFile, withPlainFile } from "./files.js";
import { type Hashing, withHashing } from "./hash.js";
import { checkStored, DONE, META, STATE, variablePath } from "./layout.js";
import { type RunState, readMeta, readState } from "./meta.js";
import { type Rename, renamed } from "./rename.js";
import { checkBytes, checkHash } from "./verify.js";
import type { StoredVariable } from "./write.js";

/** What a load takes from a directory, and how sure it must be. */
export interface ReadOptions {
  /** False leaves out the hash of the elements; names, sizes, dtypes and shapes are checked all the same. Default true. */
  readonly verify?: boolean;
  /** Makes a variable that is missing in the directory, or unused from it, an error; what is left out on purpose is neither. Default false. */
  readonly strict?: boolean;
  /** Loads only variables whose name in the program fits; the others are initialised without the documented line. */
  readonly include?: Pattern | readonly Pattern[];
  /** Leaves out variables whose name in the program fits: they are initialised without the documented line. */
  readonly exclude?: Pattern | readonly Pattern[];
  /** Names in the directory to names in the program. */
  readonly rename?: Rename;
  /** Lets a load go on that finds none of the program's variables: all are initialised. Default false. */
  readonly allowEmpty?: boolean;
}

/** Every key of `ReadOptions`. */
export const readOptions = ["verify", "strict", "include", "exclude", "rename", "allowEmpty"] as const;

/** Everything a load will do, all of it checked; nothing is assigned yet. */
export interface LoadPlan {
  /** Values by name in the program; empty where only a check was asked for. */
  readonly values: ReadonlyMap<string, Tensor>;
  /** Names of the variables that the checkpoint has, in order. */
  readonly loaded: readonly string[];
  /** Variables the checkpoint lacks, by name: to be initialised, each with its `missingLine` on stdout. */
  readonly missing: readonly StoredVariable[];
  /** Variables left out by `include` and `exclude`, by name: to be initialised. */
  readonly excluded: readonly StoredVariable[];
  /** Names in the directory of the variables that were not loaded, in order. */
  readonly unused: readonly string[];
  /** Undefined for a checkpoint that OneFlow, or a hand, made. */
  readonly state: RunState | undefined;
  /** Lines for stderr. */
  readonly warnings: readonly string[];
}

/** OneFlow's documented line for a variable that the checkpoint lacks, trailing space included, without a line end. */
export function missingLine(dir: string, variable: StoredVariable): string {
  return `WARNING! CANNOT find variable path in : ${variablePath(dir, variable.name, variable.fileName)}. It will be initialized. `;
}

/**
 * Reads the values of `variables` from the checkpoint at `dir`; throws where anything in it does not fit them. `target` gives the
 * memory for a variable's elements once its file is known to fit: a new tensor by default; null to check the bytes only.
 */
export async function planLoad(
  dir: string,
  variables: readonly StoredVariable[],
  options: ReadOptions = {},
  target: ((variable: StoredVariable) => Tensor) | null = ({ dtype, shape }) => zeros(dtype, shape),
  where = `checkpoint.load('${dir}')`,
): Promise<LoadPlan> {
  checkStored(variables);
  await checkDirectory(where, dir);
  const sorted = [...variables].sort((a, b) => (a.name < b.name ? -1 : 1));
  const folders = await foldersOf(where, dir);
  const programNames = renamed(where, options.rename, folders);
  const folderOf = new Map([...programNames].map(([folder, name]) => [name, folder]));
  const wanted = selection(
    where,
    options,
    [...new Set([...sorted.map(({ name }) => name), ...folderOf.keys()])].sort(),
  );

  const included = sorted.filter(({ name }) => wanted(name));
  const found = await mapBounded(included, (variable) => locate(where, dir, variable, folderOf.get(variable.name)));
  const present = found.filter((entry) => entry.size !== undefined);
  const missing = found.flatMap(({ variable, size }) => (size === undefined ? [variable] : []));
  const taken = new Set(present.map(({ folder }) => folder));
  const unused = await unusedOf(
    where,
    dir,
    folders.filter((folder) => !taken.has(folder)),
  );
  if (options.strict === true) {
    const left = unused.filter((folder) => wanted(programNames.get(folder)!));
    checkStrict(where, dir, missing, left);
  }
  if (present.length === 0 && options.allowEmpty !== true) refuseEmpty(where, dir, sorted, included);
  const state = await readState(where, `${dir}/${STATE}`);
  const warnings = await warningsOf(where, dir, found);
  // Every name, type and size fits: only now memory is taken.
  const verify = options.verify ?? true;
  const tensors = await withHashing((hashing) =>
    mapBounded(present, (entry) => readValue(where, dir, entry, verify ? hashing : undefined, target)),
  );
  return {
    values: new Map(
      tensors.flatMap((tensor, i) => (tensor === undefined ? [] : [[present[i]!.variable.name, tensor]])),
    ),
    loaded: present.map(({ variable }) => variable.name),
    missing,
    excluded: sorted.filter(({ name }) => !wanted(name)),
    unused,
    state,
    warnings,
  };
}

/** E_CKPT_DIR for a load that found nothing, where the program has variables. */
export function refuseEmpty(
  where: string,
  dir: string,
  variables: readonly StoredVariable[],
  included: readonly StoredVariable[],
): void {
  if (variables.length === 0) return;
  const what = `'${dir}' holds none of the ${included.length} variables of this program ('${(included[0] ?? variables[0]!).name}', ...)`;
  const fix =
    "give the directory that a save wrote, use init() to start afresh, or pass { allowEmpty: true } to initialise all";
  throw new FlowError(
    "E_CKPT_DIR",
    included.length > 0
      ? `${where}: ${what}; ${fix}`
      : `${where}: include and exclude leave no variable to load; ${fix}`,
  );
}

/** Whether a name is to be loaded. Patterns that fit none of `names` are errors: a mistyped one would change nothing in silence. */
export function selection(where: string, options: ReadOptions, names: readonly string[]): (name: string) => boolean {
  const lists = (["include", "exclude"] as const).map((key) => {
    const patterns = patternList(`${where}: ${key}`, options[key]);
    const [idle] = unusedPatterns(patterns, names);
    if (idle === undefined) return patterns;
    const known = names.slice(0, 3).map(shown).join(", ");
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: ${key}: '${idle}' fits no variable (${known}${names.length > 3 ? ", ..." : ""})`,
    );
  });
  const [include, exclude] = lists as [readonly Pattern[], readonly Pattern[]];
  return (name) => (options.include === undefined || matchesAny(include, name)) && !matchesAny(exclude, name);
}

/** E_CKPT_STRICT where a load would leave anything out. */
export function checkStrict(
  where: string,
  dir: string,
  missing: readonly StoredVariable[],
  unused: readonly string[],
): void {
  const list = (names: readonly string[]): string =>
    `${names.slice(0, 5).map(shown).join(", ")}${names.length > 5 ? ` and ${names.length - 5} more` : ""}`;
  const complaints = [
    ...(missing.length > 0 ? [`'${dir}' lacks ${list(missing.map(({ name }) => name))}`] : []),
    ...(unused.length > 0 ? [`the program lacks ${list(unused)}`] : []),
  ];
  if (complaints.length === 0) return;
  const fix = "rename or exclude what differs on purpose, or load without strict";
  throw new FlowError("E_CKPT_STRICT", `${where}: ${complaints.join("; ")}; ${fix}`);
}

/** Those of `folders` that hold a variable. */
async function unusedOf(where: string, dir: string, folders: readonly string[]): Promise<readonly string[]> {
  const held = await mapBounded(folders, async (name) => {
    const fileName = await dataFileOf(where, `${dir}/${name}`);
    if (fileName === "out") return true;
    return fileName !== undefined && (await plainKind(where, `${dir}/${name}/${META}`)) === "file";
  });
  return folders.filter((_, i) => held[i]);
}

interface Found {
  readonly variable: StoredVariable;
  readonly folder: string;
  /** Undefined where the file of elements is absent. */
  readonly size: number | undefined;
  readonly sha256: string | undefined;
  readonly hasMeta: boolean;
}

const outPath = (dir: string, { folder, variable }: Pick<Found, "folder" | "variable">): string =>
  variablePath(dir, folder, variable.fileName);

/** Finds a variable's file and checks all that can be told without reading it. */
async function locate(
  where: string,
  dir: string,
  variable: StoredVariable,
  folder: string | undefined,
): Promise<Found> {
  const nothing = { variable, folder: folder ?? variable.name, size: undefined, sha256: undefined, hasMeta: false };
  if (folder === undefined) return nothing;
  const path = variablePath(dir, folder, variable.fileName);
  const metaPath = variablePath(dir, folder, META);
  const size = await reading(where, path, () => plainSize(where, path));
  if (size === undefined)
    return { ...nothing, hasMeta: (await reading(where, metaPath, () => plainKind(where, metaPath))) !== undefined };
  checkBytes(where, variable.name, path, variable, size);
  const meta = await readMeta(where, metaPath);
  if (meta !== undefined && (meta.dtype !== variable.dtype || !sameShape(meta.shape, variable.shape))) {
    const types = `${typeText(meta.dtype, meta.shape)}, variable '${variable.name}' of this program is ${typeText(variable.dtype, variable.shape)}`;
    const fix = "load another checkpoint, or delete this file to take the bytes as they are";
    throw new FlowError("E_CKPT_META", `${where}: '${metaPath}' says ${types}; ${fix}`);
  }
  return { variable, folder, size, sha256: meta?.sha256, hasMeta: meta !== undefined };
}

async function warningsOf(where: string, dir: string, found: readonly Found[]): Promise<readonly string[]> {
  const gone = found.filter(({ size, hasMeta }) => size === undefined && hasMeta);
  const warnings = gone.map(
    (entry) => `${where}: '${outPath(dir, entry)}' is gone, though the '${META}' beside it says that it was saved`,
  );
  const unproven = found.filter(({ size, hasMeta }) => size !== undefined && !hasMeta);
  if (unproven.length === 0 || (await isMarked(where, dir))) return warnings;
  const names = `'${unproven[0]!.variable.name}'${unproven.length > 1 ? ` and ${unproven.length - 1} more` : ""}`;
  const what = `'${dir}' has no '${DONE}', and no '${META}' vouches for ${names}`;
  return [...warnings, `${where}: ${what}: its save never finished, or it is a partial copy; values may be wrong`];
}

async function readValue(
  where: string,
  dir: string,
  entry: Found,
  hashing: Hashing | undefined,
  target: ((variable: StoredVariable) => Tensor) | null,
): Promise<Tensor | undefined> {
  const { variable, folder, sha256: expected } = entry;
  const size = sizeOf(variable.shape) * byteSize(variable.dtype);
  const path = outPath(dir, entry);
  const hash = expected === undefined ? undefined : await hashing?.(size);
  const tensor = target?.(variable);
  // float16 is float32 in memory; all else is read right into place.
  const widened = tensor !== undefined && variable.dtype === "float16";
  const bytes = tensor === undefined || widened ? undefined : bytesOf(tensor);
  const got = await reading(where, path, () =>
    withPlainFile(where, path, async (file, now) => {
      checkBytes(where, variable.name, path, variable, now);
      return streamFile(file, size, {
        hash,
        place: bytes === undefined ? scratch(size) : (start, count) => bytes.subarray(start, start + count),
        ...(widened && {
          took: (piece: Uint8Array, start: number) => widen(piece, tensor.data as Float32Array, start / 2),
        }),
      });
    }),
  );
  if (got === undefined)
    throw new FlowError("E_CKPT_IO", `${where}: '${path}' vanished while it was looked at; no variable was changed`);
  checkBytes(where, variable.name, path, variable, got);
  if (hash !== undefined) checkHash(where, dir, path, await hash.digest(), variablePath(dir, folder, META), expected!);
  return tensor;
}

/** Half floats as the float32 that they are in memory. */
export function widen(piece: Uint8Array, into: Float32Array, at: number): void {
  const halves = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
  for (let i = 0; 2 * i < piece.byteLength; i++) into[at + i] = fromHalf(halves.getUint16(2 * i, true));
}
