import type { Stats } from "node:fs";
import { lstat, readFile, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { byteSize, dtypes } from "../core/dtype.js";
import { FlowError } from "../core/errors.js";
import { isRecord, type Json, parseJson } from "../core/json.js";
import { sameShape, sizeOf, typeText } from "../core/shape.js";
import { bytesOf, fromBytes, type Tensor, zeros } from "../core/tensor.js";
import { errnoOf, mapBounded, readInto } from "./files.js";
import { checkStored, DONE, META, parseTemporaryName, STATE, variablePath } from "./layout.js";
import type { RunState, StoredVariable } from "./write.js";

/** Everything a load will do, all of it checked; nothing is assigned yet. */
export interface LoadPlan {
  readonly values: ReadonlyMap<string, Tensor>;
  /** Variables the checkpoint lacks, by name: to be initialised, each with its `missingLine` on stdout. */
  readonly missing: readonly StoredVariable[];
  /** Undefined for a checkpoint that OneFlow, or a hand, made. */
  readonly state: RunState | undefined;
  /** Lines for stderr. */
  readonly warnings: readonly string[];
}

/** OneFlow's documented line for a variable that the checkpoint lacks, trailing space included, without a line end. */
export function missingLine(dir: string, variable: StoredVariable): string {
  return `WARNING! CANNOT find variable path in : ${variablePath(dir, variable.name, variable.fileName)}. It will be initialized. `;
}

/** Reads the values of `variables` from the checkpoint at `dir`; throws where anything in it does not fit them. */
export async function planLoad(dir: string, variables: readonly StoredVariable[]): Promise<LoadPlan> {
  checkStored(variables);
  const where = `checkpoint.load('${dir}')`;
  await checkDirectory(where, dir);
  const sorted = [...variables].sort((a, b) => (a.name < b.name ? -1 : 1));
  const found = await mapBounded(sorted, (variable) => readVariable(where, dir, variable));
  const values = new Map(
    found.flatMap((entry) => (entry.tensor === undefined ? [] : [[entry.variable.name, entry.tensor]])),
  );
  if (values.size === 0 && variables.length > 0) {
    const what = `'${dir}' holds none of the ${variables.length} variables of this program ('${sorted[0]!.name}', ...)`;
    throw new FlowError(
      "E_CKPT_DIR",
      `${where}: ${what}; give the directory that a save wrote, or use init() to start afresh`,
    );
  }
  const warnings: string[] = [];
  for (const { variable, tensor, hasMeta } of found) {
    if (tensor === undefined && hasMeta) {
      const file = variablePath(dir, variable.name, variable.fileName);
      warnings.push(`${where}: '${file}' is gone, though the '${META}' beside it says that it was saved`);
    }
  }
  const unproven = found.filter(({ tensor, hasMeta }) => tensor !== undefined && !hasMeta);
  if (unproven.length > 0 && (await kindOf(where, `${dir}/${DONE}`)) === undefined) {
    const names = `'${unproven[0]!.variable.name}'${unproven.length > 1 ? ` and ${unproven.length - 1} more` : ""}`;
    const what = `'${dir}' has no '${DONE}', and no '${META}' vouches for ${names}`;
    warnings.push(`${where}: ${what}: its save never finished, or it is a partial copy; values may be wrong`);
  }
  const missing = found.flatMap(({ variable, tensor }) => (tensor === undefined ? [variable] : []));
  return { values, missing, state: await readState(where, `${dir}/${STATE}`), warnings };
}

async function checkDirectory(where: string, dir: string): Promise<void> {
  const kind = await kindOf(where, dir);
  if (kind?.isDirectory() !== true) {
    const what = kind === undefined ? "does not exist" : "is not a directory";
    const fix = "give the directory that a save wrote, or use init() to start afresh";
    throw new FlowError("E_CKPT_DIR", `${where}: '${dir}' ${what}; ${fix}`);
  }
  if (parseTemporaryName(basename(resolve(dir))) !== undefined) {
    const what = `'${dir}' is what an interrupted save left behind, not a checkpoint`;
    throw new FlowError(
      "E_CKPT_DIR",
      `${where}: ${what}; load a finished one, the next save to the same path removes this`,
    );
  }
}

interface Found {
  readonly variable: StoredVariable;
  readonly tensor: Tensor | undefined;
  readonly hasMeta: boolean;
}

async function readVariable(where: string, dir: string, variable: StoredVariable): Promise<Found> {
  const { name, dtype, shape, fileName } = variable;
  const path = variablePath(dir, name, fileName);
  const metaPath = variablePath(dir, name, META);
  const kind = await kindOf(where, path);
  if (kind === undefined)
    return { variable, tensor: undefined, hasMeta: (await kindOf(where, metaPath)) !== undefined };
  if (!kind.isFile()) {
    throw new FlowError("E_CKPT_IO", `${where}: '${path}' is not a file, expected the elements of variable '${name}'`);
  }
  const size = sizeOf(shape) * byteSize(dtype);
  const checkSize = (got: number): void => {
    if (got === size) return;
    const need = `variable '${name}' needs ${size} bytes (${typeText(dtype, shape)})`;
    throw new FlowError("E_CKPT_SIZE", `${where}: ${need}, '${path}' has ${got}`);
  };
  checkSize(kind.size);
  const expected = await readMeta(where, metaPath, variable);
  // float16 is float32 in memory; all else is read right into place.
  const tensor = zeros(dtype, shape);
  const bytes = dtype === "float16" ? new Uint8Array(size) : bytesOf(tensor);
  const { length, sha256 } = await reading(where, path, () => readInto(path, bytes));
  checkSize(length);
  if (expected !== undefined && sha256 !== expected) {
    const what = `'${path}' has sha256 ${sha256}, '${metaPath}' says ${expected}`;
    const fix = `it was damaged or edited after its save; to accept a deliberate edit, delete '${metaPath}'`;
    throw new FlowError("E_CKPT_HASH", `${where}: ${what}: ${fix}`);
  }
  return {
    variable,
    tensor: dtype === "float16" ? fromBytes(dtype, shape, bytes) : tensor,
    hasMeta: expected !== undefined,
  };
}

/** The SHA-256 that `meta` promises, or undefined without that file; throws where it describes another variable. */
async function readMeta(
  where: string,
  path: string,
  { name, dtype, shape }: StoredVariable,
): Promise<string | undefined> {
  if ((await kindOf(where, path)) === undefined) return undefined;
  const meta = parseJson(await reading(where, path, () => readFile(path, "utf8")));
  const refuse = (what: string): FlowError => new FlowError("E_CKPT_META", `${where}: '${path}' ${what}`);
  if (!isRecord(meta) || !isDType(meta.dtype) || !isShape(meta.shape) || !isSha256(meta.sha256)) {
    throw refuse("is damaged, expected JSON {dtype, shape, sha256}; delete it to load the variable unchecked");
  }
  if (meta.dtype !== dtype || !sameShape(meta.shape, shape)) {
    const types = `${typeText(meta.dtype, meta.shape)}, variable '${name}' of this program is ${typeText(dtype, shape)}`;
    throw refuse(`says ${types}; load another checkpoint, or delete this file to take the bytes as they are`);
  }
  return meta.sha256;
}

async function readState(where: string, path: string): Promise<RunState | undefined> {
  if ((await kindOf(where, path)) === undefined) return undefined;
  const state = parseJson(await reading(where, path, () => readFile(path, "utf8")));
  const refuse = (what: string): FlowError => new FlowError("E_CKPT_META", `${where}: '${path}' ${what}`);
  if (isRecord(state) && isCount(state.format) && state.format > 1) {
    throw refuse(`has format ${state.format}, expected 1; a newer onestep wrote it, update this one`);
  }
  if (
    !isRecord(state) ||
    state.format !== 1 ||
    !Number.isFinite(state.seed) ||
    !isCounts(state.calls) ||
    !isRecord(state.data ?? {})
  ) {
    throw refuse(
      "is damaged, expected JSON {format: 1, seed, calls}; delete it to load without the seed and call counts",
    );
  }
  const data = state.data as Readonly<Record<string, Json>> | undefined;
  return { seed: state.seed as number, calls: state.calls, ...(data === undefined ? {} : { data }) };
}

const isDType = (value: unknown): value is string => (dtypes as readonly unknown[]).includes(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isShape = (value: unknown): value is readonly number[] => Array.isArray(value) && value.every(isCount);
const isSha256 = (value: unknown): value is string => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
const isCounts = (value: unknown): value is Record<string, number> =>
  isRecord(value) && Object.values(value).every(isCount);

/** What is at `path`, links followed, or undefined where nothing is; a link to nothing is an error. */
async function kindOf(where: string, path: string): Promise<Stats | undefined> {
  return reading(where, path, async () => {
    try {
      return await stat(path);
    } catch (error) {
      const code = errnoOf(error);
      if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
      const link = await lstat(path).catch(() => undefined);
      if (link?.isSymbolicLink()) throw error;
      return undefined;
    }
  });
}

async function reading<T>(where: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    const message = `${where}: cannot read '${path}': ${(error as Error).message}; no variable was changed`;
    throw new FlowError("E_CKPT_IO", message, { cause: error });
  }
}
