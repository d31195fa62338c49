import { PIECE } from "../checkpoint/files.js";
import { checkOptions, FlowError, textOfValue } from "../core/errors.js";
import { matchesAny, type Pattern, patternList } from "../core/pattern.js";
import { bytesOf, fromBytes, NdArray } from "../core/tensor.js";
import type { TypedVariable } from "./model.js";
import { formatOf, openModel, writeModel } from "./open.js";

/** Options of `formats.read`. */
export interface ReadArraysOptions {
  /** Reads only variables whose name fits. */
  readonly include?: Pattern | readonly Pattern[];
  /** Leaves out variables whose name fits. */
  readonly exclude?: Pattern | readonly Pattern[];
}

/**
 * The arrays in a `.safetensors` or `.npz` file or a checkpoint directory, by name. bfloat16 comes as float32, rank 0 as `[1]`. Fails as a
 * whole where anything in it is damaged.
 */
export async function readArrays(path: string, options: ReadArraysOptions = {}): Promise<Map<string, NdArray>> {
  const where = `formats.read('${path}')`;
  checkPath("formats.read", path);
  checkOptions(where, options, ["include", "exclude"]);
  const include = patternList(`${where}: include`, options.include);
  const exclude = patternList(`${where}: exclude`, options.exclude);
  const wanted = (name: string): boolean =>
    (options.include === undefined || matchesAny(include, name)) && !matchesAny(exclude, name);
  const model = await openModel(where, path, wanted);
  try {
    const arrays = new Map<string, NdArray>();
    for (const variable of model.variables) {
      if (variable.type === undefined)
        throw new FlowError(
          "E_CKPT_META",
          `${where}: '${variable.name}' has no 'meta' that tells its dtype and shape; load the checkpoint in a program that has the variables`,
        );
      const { dtype, shape } = variable.type;
      const bytes = new Uint8Array(variable.bytes);
      let at = 0;
      for await (const piece of variable.pieces({ verify: true })) {
        bytes.set(piece, at);
        at += piece.length;
      }
      const { data } = fromBytes(dtype, shape, bytes);
      arrays.set(variable.name, new NdArray(data, shape, dtype));
    }
    return arrays;
  } finally {
    await model.close();
  }
}

/** Options of `formats.write`. */
export interface WriteArraysOptions {
  /** Replaces an existing file; default false: it is refused. */
  readonly overwrite?: boolean;
}

/**
 * Writes arrays as a `.safetensors` or `.npz` file, by extension: aside, flushed, then renamed. An array that came from a job is
 * written with its own dtype.
 */
export async function writeArrays(
  path: string,
  arrays: ReadonlyMap<string, NdArray> | Readonly<Record<string, NdArray>>,
  options: WriteArraysOptions = {},
): Promise<void> {
  const where = `formats.write('${path}')`;
  checkPath("formats.write", path);
  checkOptions(where, options, ["overwrite"]);
  if (formatOf(path) === "directory")
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: the path ends in neither .safetensors nor .npz; checkPoint.save writes directories`,
    );
  const entries: readonly [string, NdArray][] = arrays instanceof Map ? [...arrays] : Object.entries(arrays);
  const variables = entries.map(([name, array]): TypedVariable => {
    if (!(array instanceof NdArray))
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: '${name}' is ${textOfValue(array)}, expected an NdArray: new flow.NdArray(data, shape)`,
      );
    return variableOf(name, array);
  });
  await writeModel(where, path, variables, undefined, options);
}

function variableOf(name: string, array: NdArray): TypedVariable {
  const bytes = bytesOf(array);
  return {
    name,
    type: { dtype: array.dtype, shape: array.shape },
    bytes: bytes.byteLength,
    fileName: "out",
    async *pieces() {
      for (let at = 0; at < bytes.byteLength; at += PIECE) yield bytes.subarray(at, at + PIECE);
    },
  };
}

function checkPath(where: string, path: unknown): void {
  if (typeof path === "string" && path !== "" && !path.includes("\0")) return;
  throw new FlowError(
    "E_ARGUMENT",
    `${where}: the path is ${path === "" ? "empty" : textOfValue(path)}, expected a string without NUL`,
  );
}
