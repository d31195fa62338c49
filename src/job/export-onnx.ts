import { readFileSync } from "node:fs";
import { checkOptions, FlowError, nearest } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import { exportedGraph, exportModel, portable } from "../engines/onnx/export.js";
import { exportable, exportOpset } from "../engines/onnx/versions.js";
import { writeFileAside } from "../formats/file.js";
import { planModelLoad } from "../formats/load.js";
import { inputsOf } from "../graph/graph.js";
import { activeBuilder } from "../graph/trace.js";
import { dce } from "../passes/dce.js";
import { fromCallSite } from "./call-site.js";
import { compile } from "./compile.js";
import { declarationOf, type Job } from "./global-function.js";
import type { Session } from "./session.js";
import { argumentName } from "./trace-job.js";

/** Options of `onnx.export`. */
export interface OnnxExportOptions {
  /** Takes the weights from this checkpoint, which must hold all of the job's; default: the session's current values. */
  readonly modelDir?: string;
  /** Names of the job's arguments in the model, one each; default `input`, or `input_0`, `input_1`, ... */
  readonly inputs?: readonly string[];
  /** Names of the job's results in the order it returns them; default `output`, or `output_0`, ... */
  readonly outputs?: readonly string[];
  /** Version of the ONNX operators, 17 to 21; default 17. */
  readonly opset?: number;
}

const known = ["modelDir", "inputs", "outputs", "opset"] as const;

/**
 * Writes a predict job with its weights as an ONNX model of standard operators, replacing `path` at once. Arguments that no
 * result depends on are left out; labels and indices are not checked in the model. (v0.2 took the checkpoint as second argument.)
 * @flow onnx.export
 */
export function exportOnnx<F extends readonly unknown[], T>(
  job: Job<F, T>,
  path: string,
  options: OnnxExportOptions = {},
): Promise<void> {
  const { session, declaration } = declarationOf("onnx.export", job);
  const where = `onnx.export('${declaration.name}')`;
  if (activeBuilder() !== undefined)
    throw new FlowError("E_ARGUMENT", `${where}: called inside a job function; call it outside`);
  if (typeof path !== "string" || path === "" || path.includes("\0"))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: the path is ${path === "" ? "empty" : typeof path}, expected the path of a file`,
    );
  checkOptions(where, options, known);
  const { modelDir, opset = exportOpset } = options;
  if (!Object.hasOwn(exportable, opset))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: opset is ${opset}, expected one of ${Object.keys(exportable).join(", ")}`,
    );
  return fromCallSite(exportOnnx, () =>
    session.enqueue(where, async () => {
      if (declaration.type !== "predict")
        throw new FlowError(
          "E_ARGUMENT",
          `${where}: it is a train job; export a predict job that calls the same model function`,
        );
      const { traced } = session.job(declaration.name).latest;
      const { native } = compile(traced, portable, { checkNumerics: false, variant: "" }).whole;
      // Behind the job's own results come those for watchers.
      const watched = traced.watches.filter(({ of }) => of === "value").length;
      const graph = exportedGraph(
        dce({ ...native.graph, outputs: native.graph.outputs.slice(0, native.graph.outputs.length - watched) }),
      );
      const feeds = inputsOf(graph, "placeholder").map((node) => String(node.attrs.name));
      const given = declaration.placeholders.map((_, i) => argumentName(i));
      const host = feeds.find((feed) => !given.includes(feed));
      if (host !== undefined)
        throw new FlowError(
          "E_UNSUPPORTED",
          `${where}: '${host.replace(/^host /, "")}' is computed outside the model, which ONNX cannot say; export a job without it`,
        );
      const [update] = graph.updates.keys();
      if (update !== undefined)
        throw new FlowError(
          "E_UNSUPPORTED",
          `${where}: the job updates variable '${update}', an ONNX model has no variables; export a job without updates`,
        );
      const inputNames = namesOf(where, "inputs", options.inputs, given.length);
      const outputNames = namesOf(where, "outputs", options.outputs, graph.outputs.length);
      const variables = inputsOf(graph, "variable").map((node) => String(node.attrs.name));
      const values = await valuesOf(where, session, variables, modelDir);
      const bytes = await exportModel(
        { ...native, graph },
        {
          inputs: new Map(given.map((name, i) => [name, inputNames[i]!])),
          outputs: outputNames,
          values,
          opset,
          producerVersion: version(),
        },
      );
      await writeFileAside(where, path, [bytes], { overwrite: true });
    }),
  );
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
      `${where}: ${key} is ${JSON.stringify(given)}, expected ${count} names, one for each ${key === "inputs" ? "argument" : "result"} of the job`,
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

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return version;
}
