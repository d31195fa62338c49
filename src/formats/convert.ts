import { type Rename, renamed } from "../checkpoint/rename.js";
import { checkOptions, FlowError, nearest, plainText } from "../core/errors.js";
import { matchesAny, type Pattern, patternList, unusedPatterns } from "../core/pattern.js";
import { type NamePreset, presets } from "./bert-names.js";
import type { TypedVariable } from "./model.js";
import { formatOf, openModel, writeModel } from "./open.js";

/** Options of `formats.convert`. */
export interface ConvertOptions {
  /** Takes only variables whose name in the source fits. */
  readonly include?: Pattern | readonly Pattern[];
  /** Leaves out variables whose name in the source fits. */
  readonly exclude?: Pattern | readonly Pattern[];
  /** Names in the source to names in the result: rules as for `checkPoint.load`. */
  readonly rename?: Rename;
  /** `bert-tensorflow`, `bert-to-tensorflow`: documented names of another program, applied before `rename`. */
  readonly preset?: string;
  /** Replaces an existing file; a directory is never written over. Default false. */
  readonly overwrite?: boolean;
}

/** What a conversion did. */
export interface ConvertReport {
  /** Names in the source and in the result, in order of the first. */
  readonly variables: readonly { readonly from: string; readonly to: string }[];
  readonly bytes: number;
  /** What the new format cannot hold, as sentences. */
  readonly lost: readonly string[];
}

/**
 * Copies a model from one file or directory to another, format by extension: `.safetensors`, `.npz`, else a checkpoint
 * directory. Streams, checks hashes on the way, and leaves what is at `to` as it is or complete.
 */
export async function convert(
  from: string,
  to: string,
  options: ConvertOptions = {},
  where = `formats.convert('${from}', '${to}')`,
): Promise<ConvertReport> {
  checkOptions(where, options, ["include", "exclude", "rename", "preset", "overwrite"]);
  const include = patternList(`${where}: include`, options.include);
  const exclude = patternList(`${where}: exclude`, options.exclude);
  const preset = presetOf(where, options.preset);
  const seen: string[] = [];
  const model = await openModel(where, from, (name) => {
    seen.push(name);
    return (options.include === undefined || matchesAny(include, name)) && !matchesAny(exclude, name);
  });
  try {
    checkUsed(where, include, exclude, seen);
    const variables = model.variables.map((variable): TypedVariable => {
      const { name, type } = variable;
      if (type === undefined)
        throw new FlowError(
          "E_CKPT_META",
          `${where}: '${name}' has no 'meta' that tells its dtype and shape; load the checkpoint in a program that has the variables and save it again`,
        );
      return { ...variable, type: { dtype: type.dtype, shape: preset?.shape(name, type.shape) ?? type.shape } };
    });
    if (variables.length === 0) throw new FlowError("E_ARGUMENT", `${where}: no variable is left to write`);
    const first = presetNames(
      where,
      preset,
      variables.map(({ name }) => name),
    );
    const second = renamed(where, options.rename, [...first.values()]);
    const nameOf = (name: string): string => second.get(first.get(name)!)!;
    const target = formatOf(to);
    await writeModel(
      where,
      to,
      variables.map((variable) => ({ ...variable, name: nameOf(variable.name) })),
      model.state,
      options,
    );
    const lost: string[] = [];
    if (model.state !== undefined && target === "npz")
      lost.push("seed, call counts and extras: .npz files hold arrays only");
    const files = variables.filter(({ fileName }) => fileName !== "out");
    if (files.length > 0 && target !== "directory")
      lost.push(
        `the file name of ${files.length === 1 ? `'${files[0]!.name}'` : `${files.length} variables`}: it is 'out' when read back`,
      );
    return {
      variables: variables.map(({ name }) => ({ from: name, to: nameOf(name) })),
      bytes: variables.reduce((sum, { bytes }) => sum + bytes, 0),
      lost,
    };
  } finally {
    await model.close();
  }
}

function presetOf(where: string, name: string | undefined): NamePreset | undefined {
  if (name === undefined) return undefined;
  if (Object.hasOwn(presets, name)) return presets[name];
  const near = typeof name === "string" ? nearest(name, Object.keys(presets)) : undefined;
  const known = `known are ${Object.keys(presets).join(", ")}`;
  throw new FlowError(
    "E_OPTION",
    `${where}: unknown preset ${plainText(name)}; ${near === undefined ? known : `did you mean '${near}'?`}`,
  );
}

/** Other programs' names may have characters that ours cannot, so the checks of `renamed` do not fit. */
function presetNames(
  where: string,
  preset: NamePreset | undefined,
  names: readonly string[],
): ReadonlyMap<string, string> {
  const result = new Map(names.map((name) => [name, preset?.rename(name) ?? name]));
  if (new Set(result.values()).size < names.length)
    throw new FlowError("E_ARGUMENT", `${where}: the preset gives two variables one name; exclude one of them`);
  return result;
}

function checkUsed(
  where: string,
  include: readonly Pattern[],
  exclude: readonly Pattern[],
  names: readonly string[],
): void {
  for (const [key, patterns] of [
    ["include", include],
    ["exclude", exclude],
  ] as const) {
    const [idle] = unusedPatterns(patterns, names);
    if (idle === undefined) continue;
    const near = nearest(idle, names);
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: ${key}: '${idle}' fits no variable${near === undefined ? "" : `; did you mean '${near}'?`}`,
    );
  }
}
