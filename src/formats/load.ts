import { stat } from "node:fs/promises";
import { mapBounded } from "../checkpoint/files.js";
import { checkStored } from "../checkpoint/layout.js";
import {
  checkStrict,
  type LoadPlan,
  planLoad,
  type ReadOptions,
  refuseEmpty,
  selection,
  widen,
} from "../checkpoint/read.js";
import { renamed } from "../checkpoint/rename.js";
import type { StoredVariable } from "../checkpoint/write.js";
import { FlowError } from "../core/errors.js";
import { sameShape, typeText } from "../core/shape.js";
import { bytesOf, type Tensor, zeros } from "../core/tensor.js";
import type { ModelVariable } from "./model.js";
import { formatOf, openModel } from "./open.js";

/** As `planLoad`, also from a `.safetensors` or `.npz` file, whose names are the variables'. */
export async function planModelLoad(
  path: string,
  variables: readonly StoredVariable[],
  options: ReadOptions = {},
  target: ((variable: StoredVariable) => Tensor) | null = ({ dtype, shape }) => zeros(dtype, shape),
  where = `checkpoint.load('${path}')`,
): Promise<LoadPlan> {
  const isFile = formatOf(path) !== "directory" && (await stat(path).catch(() => undefined))?.isDirectory() !== true;
  if (!isFile) return planLoad(path, variables, options, target, where);
  checkStored(variables);
  const sorted = [...variables].sort((a, b) => (a.name < b.name ? -1 : 1));
  const names = await namesIn(where, path);
  const programNames = renamed(where, options.rename, names);
  const sourceOf = new Map([...programNames].map(([name, target]) => [target, name]));
  const wanted = selection(
    where,
    options,
    [...new Set([...sorted.map(({ name }) => name), ...sourceOf.keys()])].sort(),
  );
  const included = sorted.filter(({ name }) => wanted(name));
  const present = included.filter(({ name }) => sourceOf.has(name));
  const missing = included.filter(({ name }) => !sourceOf.has(name));
  const taken = new Set(present.map(({ name }) => sourceOf.get(name)!));
  const unused = names.filter((name) => !taken.has(name));
  if (options.strict === true)
    checkStrict(
      where,
      path,
      missing,
      unused.filter((name) => wanted(programNames.get(name)!)),
    );
  if (present.length === 0 && options.allowEmpty !== true) refuseEmpty(where, path, sorted, included);
  // Types that no variable can have do not matter where nobody wants them.
  const model = await openModel(where, path, (name) => taken.has(name));
  try {
    const sources = new Map(model.variables.map((source) => [source.name, source]));
    const pairs = present.map((variable) => [variable, sources.get(sourceOf.get(variable.name)!)!] as const);
    for (const [variable, source] of pairs) checkType(where, path, variable, source);
    const tensors = await mapBounded(pairs, ([variable, source]) => elementsOf(variable, source, target));
    return {
      values: new Map(tensors.flatMap((tensor, i) => (tensor === undefined ? [] : [[present[i]!.name, tensor]]))),
      loaded: present.map(({ name }) => name),
      missing,
      excluded: sorted.filter(({ name }) => !wanted(name)),
      unused,
      state: model.state,
      warnings: [],
    };
  } finally {
    await model.close();
  }
}

async function namesIn(where: string, path: string): Promise<readonly string[]> {
  const names: string[] = [];
  const model = await openModel(where, path, (name) => {
    names.push(name);
    return false;
  });
  await model.close();
  return names.sort();
}

function checkType(where: string, path: string, { name, dtype, shape }: StoredVariable, { type }: ModelVariable): void {
  if (type?.dtype === dtype && sameShape(type.shape, shape)) return;
  const got = type === undefined ? "no type" : typeText(type.dtype, type.shape);
  throw new FlowError(
    "E_CKPT_META",
    `${where}: '${path}' says ${got}, variable '${name}' of this program is ${typeText(dtype, shape)}; load another file, or exclude it`,
  );
}

async function elementsOf(
  variable: StoredVariable,
  source: ModelVariable,
  target: ((variable: StoredVariable) => Tensor) | null,
): Promise<Tensor | undefined> {
  const tensor = target?.(variable);
  // float16 is float32 in memory.
  const half = variable.dtype === "float16";
  const bytes = tensor === undefined || half ? undefined : bytesOf(tensor);
  let at = 0;
  for await (const piece of source.pieces()) {
    if (tensor !== undefined && half) widen(piece, tensor.data as Float32Array, at / 2);
    bytes?.set(piece, at);
    at += piece.length;
  }
  return tensor;
}
