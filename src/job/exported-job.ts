import { FlowError, nearest, plainText } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import type { Engine, NativeJob } from "../engines/engine.js";
import { planModelLoad } from "../formats/load.js";
import { extentOf } from "../graph/extent.js";
import { inputsOf } from "../graph/graph.js";
import { activeBuilder } from "../graph/trace.js";
import { dce } from "../passes/dce.js";
import { fromCallSite } from "./call-site.js";
import { compile } from "./compile.js";
import { declarationOf, type Job } from "./global-function.js";
import { isDynamic, textOf } from "./placeholder.js";
import type { Session } from "./session.js";
import { argumentName, type Declaration } from "./trace-job.js";

/** What every export of a job may be told. */
export interface ExportOptions {
  /** Takes the weights from this checkpoint, which must hold all of the job's; default: the session's current values. */
  readonly modelDir?: string;
  /** Names of the job's arguments in the model, one each; default `input`, or `input_0`, `input_1`, ... */
  readonly inputs?: readonly string[];
  /** Names of the job's results in the order it returns them; default `output`, or `output_0`, ... */
  readonly outputs?: readonly string[];
}

/** A file format that holds jobs. */
export interface ExportFormat {
  /** With its article: `an ONNX model`. */
  readonly name: string;
  /** Which ops it has, as `compile` asks an engine. */
  readonly engine: () => Promise<Pick<Engine, "name" | "lowers">>;
}

/** A predict job and its weights, for a file. */
export interface ExportedJob {
  /** Its graph has the job's own results as outputs, no checks, and no updates. */
  readonly native: NativeJob;
  /** Names in the file by name of the graph's placeholders. */
  readonly inputs: ReadonlyMap<string, string>;
  /** Names in the file, in the order of the graph's outputs. */
  readonly outputs: readonly string[];
  /** Values of the variables that the graph reads. */
  readonly values: ReadonlyMap<string, Tensor>;
}

/**
 * Runs `write` in the job's turn with what an export of it holds; what no file can hold is an error. `exporter` is the public
 * function, named `called`.
 */
export function exportJob<F extends readonly unknown[], T>(
  { exporter, called, format }: { exporter: (...args: never) => unknown; called: string; format: ExportFormat },
  job: Job<F, T>,
  options: (where: string) => ExportOptions,
  write: (where: string, exported: ExportedJob) => Promise<void>,
): Promise<void> {
  const { session, declaration } = declarationOf(called, job);
  const where = `${called}('${declaration.name}')`;
  if (activeBuilder() !== undefined)
    throw new FlowError("E_ARGUMENT", `${where}: called inside a job function; call it outside`);
  const checked = options(where);
  return fromCallSite(exporter, () =>
    session.enqueue(where, async () => write(where, await exportedJob(where, session, declaration, format, checked))),
  );
}

async function exportedJob(
  where: string,
  session: Session,
  { name, type, placeholders }: Declaration,
  { name: format, engine }: ExportFormat,
  options: ExportOptions,
): Promise<ExportedJob> {
  if (type !== "predict")
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: it is a train job; export a predict job that calls the same model function`,
    );
  const open = placeholders.find((placeholder) => isDynamic(placeholder) && placeholder.shape.includes(null));
  if (open !== undefined)
    throw new FlowError(
      "E_UNSUPPORTED",
      `${where}: an argument is ${textOf(open)}, shapes in ${format} are fixed; export a job whose placeholders have the batch size to serve`,
    );
  const { traced } = session.job(name).latest;
  const { native } = compile(traced, await engine(), { checkNumerics: false, variant: "" }).whole;
  // Behind the job's own results come those for watchers.
  const watched = traced.watches.filter(({ of }) => of === "value").length;
  const own = native.graph.outputs.slice(0, native.graph.outputs.length - watched);
  const loose = traced.builder.outputs.slice(0, own.length).find((blob) => extentOf(blob) !== undefined);
  if (loose !== undefined)
    throw new FlowError(
      "E_UNSUPPORTED",
      `${where}: the size of '${loose.opName}' depends on values, shapes in ${format} are fixed; return something of a fixed size`,
    );
  const graph = dce({ ...native.graph, outputs: own, checks: [] });
  const feeds = inputsOf(graph, "placeholder").map((node) => String(node.attrs.name));
  const given = placeholders.map((_, i) => argumentName(i));
  const host = feeds.find((feed) => !given.includes(feed));
  if (host !== undefined)
    throw new FlowError(
      "E_UNSUPPORTED",
      `${where}: '${host.replace(/^host /, "")}' is computed outside the model, which ${format} cannot say; export a job without it`,
    );
  const [update] = graph.updates.keys();
  if (update !== undefined)
    throw new FlowError(
      "E_UNSUPPORTED",
      `${where}: the job updates variable '${update}', ${format} has no variables; export a job without updates`,
    );
  const inputNames = namesOf(where, "inputs", options.inputs, given.length);
  return {
    native: { ...native, graph },
    inputs: new Map(given.map((argument, i) => [argument, inputNames[i]!])),
    outputs: namesOf(where, "outputs", options.outputs, graph.outputs.length),
    values: await valuesOf(
      where,
      session,
      inputsOf(graph, "variable").map((node) => String(node.attrs.name)),
      options.modelDir,
    ),
  };
}

function namesOf(
  where: string,
  key: "inputs" | "outputs",
  given: readonly string[] | undefined,
  count: number,
): readonly string[] {
  const single = key.slice(0, -1);
  if (given === undefined) return count === 1 ? [single] : Array.from({ length: count }, (_, i) => `${single}_${i}`);
  if (
    !Array.isArray(given) ||
    given.length !== count ||
    !given.every((name) => typeof name === "string" && name !== "")
  )
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: ${key} is ${plainText(given)}, expected ${count} names, one for each ${key === "inputs" ? "argument" : "result"} of the job`,
    );
  return given;
}

async function valuesOf(
  where: string,
  session: Session,
  names: readonly string[],
  modelDir: string | undefined,
): Promise<ReadonlyMap<string, Tensor>> {
  if (modelDir === undefined) {
    const missing = names.find((name) => !session.isInitialized(name));
    if (missing !== undefined)
      throw new FlowError(
        "E_UNINITIALIZED",
        `${where}: variable '${missing}' has no value; call init or load first, or pass { modelDir }`,
      );
    return new Map(await Promise.all(names.map(async (name) => [name, await session.read(name)] as const)));
  }
  if (names.length === 0) return new Map();
  const wanted = session.registry.all().filter(({ name }) => names.includes(name));
  const { values, missing, unused } = await planModelLoad(modelDir, wanted, {}, undefined, where);
  if (missing.length > 0) {
    const near = nearest(missing[0]!.name, unused);
    throw new FlowError(
      "E_CKPT_DIR",
      `${where}: '${modelDir}' lacks variable '${missing[0]!.name}'${near === undefined ? "" : `; did you mean its '${near}'?`}${missing.length > 1 ? ` (and ${missing.length - 1} more)` : ""}; give a checkpoint of this model`,
    );
  }
  return values;
}
