import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { byteSize, type DType, dtypeNames } from "../core/dtype.js";
import { FlowError } from "../core/errors.js";
import { isRecord, type Json, parseJson } from "../core/json.js";
import { type Shape, sizeOf } from "../core/shape.js";
import { reading, readSmall } from "./files.js";

/** What `meta` says of the elements beside it. */
export interface Meta {
  readonly dtype: DType;
  readonly shape: Shape;
  /** SHA-256 of the elements' bytes, 64 hex digits. */
  readonly sha256: string;
}

/** What a resumed run needs beside its variables. */
export interface RunState {
  readonly seed: number;
  /** How many calls each job has made. */
  readonly calls: Readonly<Record<string, number>>;
  /** Positions of data sources, by name. */
  readonly data?: Readonly<Record<string, Json>>;
  /** What a checkpoint manager records of the save. */
  readonly saved?: Json | undefined;
  /** What the user added. */
  readonly extras?: Json;
}

const META_LIMIT = 1 << 16;
const STATE_LIMIT = 1 << 23;
/** Most bytes of JSON that a user's extras may take. */
export const EXTRAS_LIMIT = 1 << 20;

/** The bytes of `meta`. */
export function metaBytes({ dtype, shape, sha256 }: Meta): Uint8Array {
  return jsonBytes({ dtype, shape, sha256 });
}

/** What the file `meta` at `path` says, or undefined without that file; E_CKPT_META where it is damaged. */
export async function readMeta(where: string, path: string): Promise<Meta | undefined> {
  const text = await reading(where, path, () => readSmall(where, path, META_LIMIT));
  if (text === undefined) return undefined;
  const meta = parseJson(text);
  if (!isRecord(meta) || !isDType(meta.dtype) || !isShape(meta.shape) || !isSha256(meta.sha256)) {
    const what = "is damaged, expected JSON {dtype, shape, sha256}; delete it to load the variable unchecked";
    throw new FlowError("E_CKPT_META", `${where}: '${path}' ${what}`);
  }
  if (!Number.isSafeInteger(sizeOf(meta.shape) * byteSize(meta.dtype))) {
    const what = `says the shape [${meta.shape.join(",")}], more elements than any file holds; delete it to load the variable unchecked`;
    throw new FlowError("E_CKPT_META", `${where}: '${path}' ${what}`);
  }
  return { dtype: meta.dtype, shape: meta.shape, sha256: meta.sha256 };
}

/** The bytes of `onestep.json`; the last key is the hash of the others. */
export function stateBytes({ seed, calls, data = {}, ...rest }: RunState): Uint8Array {
  // Sorted, so that equal states give equal bytes.
  const sorted = Object.fromEntries(Object.entries(calls).sort(([a], [b]) => (a < b ? -1 : 1)));
  const state = { format: 1, seed, calls: sorted, ...(Object.keys(data).length > 0 && { data }), ...rest };
  return jsonBytes({ ...state, sha256: hashOf(state) });
}

/** What the file `onestep.json` at `path` says, or undefined without that file; E_CKPT_META or E_CKPT_HASH where it is damaged. */
export async function readState(where: string, path: string): Promise<RunState | undefined> {
  const text = await reading(where, path, () => readSmall(where, path, STATE_LIMIT));
  return text === undefined ? undefined : parseState(where, path, text);
}

/** What the text of an `onestep.json` says; `path` is where messages say it was. */
export function parseState(where: string, path: string, text: string): RunState {
  const parsed = parseJson(text);
  const refuse = (what: string): FlowError => new FlowError("E_CKPT_META", `${where}: '${path}' ${what}`);
  if (isRecord(parsed) && isCount(parsed.format) && parsed.format > 1) {
    throw refuse(`has format ${parsed.format}, expected 1; a newer onestep wrote it, update this one`);
  }
  if (
    !isRecord(parsed) ||
    parsed.format !== 1 ||
    !isCount(parsed.seed) ||
    !isCounts(parsed.calls) ||
    !isRecord(parsed.data ?? {})
  ) {
    throw refuse(
      "is damaged, expected JSON {format: 1, seed, calls}; delete it to load without the seed and call counts",
    );
  }
  // OneFlow has no such file and hands may have edited it: without a hash it is taken at its word.
  const { sha256, ...state } = parsed;
  if (sha256 !== undefined && sha256 !== hashOf(state)) {
    const what = `'${path}' without its last key has sha256 ${hashOf(state)}, that key says ${String(sha256).slice(0, 80)}`;
    const fix = `it was damaged or edited after its save; changed on purpose? onestep verify --accept ${dirname(path)}`;
    throw new FlowError("E_CKPT_HASH", `${where}: ${what}: ${fix}`);
  }
  const { seed, calls, data, saved, extras } = state as unknown as RunState;
  return {
    seed,
    calls,
    ...(data !== undefined && { data }),
    ...(saved !== undefined && { saved }),
    ...(extras !== undefined && { extras }),
  };
}

/** The bytes of an `onestep.json` whose last key is made to fit the others again. */
export async function restampedState(where: string, path: string): Promise<Uint8Array> {
  const text = await reading(where, path, () => readSmall(where, path, STATE_LIMIT));
  const { sha256: _old, ...state } = parseJson(text ?? "") as Record<string, unknown>;
  return jsonBytes({ ...state, sha256: hashOf(state) });
}

/** SHA-256 of the state's JSON, in hex. */
function hashOf(state: object): string {
  return createHash("sha256").update(JSON.stringify(state)).digest("hex");
}

function jsonBytes(value: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

const isDType = (value: unknown): value is DType => (dtypeNames as readonly unknown[]).includes(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isShape = (value: unknown): value is readonly number[] => Array.isArray(value) && value.every(isCount);
const isSha256 = (value: unknown): value is string => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
const isCounts = (value: unknown): value is Record<string, number> =>
  isRecord(value) && Object.values(value).every(isCount);
