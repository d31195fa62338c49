import { FlowError } from "../../core/errors.js";
import type { Tensor } from "../../core/tensor.js";
import { inputsOf } from "../../graph/graph.js";
import type { NativeJob } from "../engine.js";
import { encodeSavedModel, type SignaturePort } from "./encode.js";
import { Lowering, shape, type } from "./lower/context.js";
import { Values } from "./lower/layout.js";
import { lowerNodes } from "./lower/model.js";
import { pools } from "./rewrite.js";

/** Names in an exported model, and what is written into it. */
export interface ExportPlan {
  /** By name of the graph's placeholders. */
  readonly inputs: ReadonlyMap<string, string>;
  /** In the order of the graph's outputs. */
  readonly outputs: readonly string[];
  readonly values: ReadonlyMap<string, Tensor>;
}

/** The signature that servers and loaders look for. */
const signature = "serving_default";
/** The tag under which they look for the graph. */
const servingTag = "serve";
// A protobuf message ends here.
const limit = 2 ** 31 - 1;

/**
 * The bytes of a `saved_model.pb` of a job, for any client of TensorFlow: variables as constants, the serving signature over
 * inputs and outputs of the job's own dtypes. The job has outputs alone: no checks, no updates. `where` begins errors.
 */
export async function exportModel(where: string, job: NativeJob, plan: ExportPlan): Promise<Uint8Array> {
  const graph = pools(job.graph, job.context);
  const bytes = [...plan.values.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  if (bytes > limit)
    throw new FlowError(
      "E_UNSUPPORTED",
      `${where}: the job has ${bytes} bytes of variables, a SavedModel's graph holds at most ${limit}; export a smaller part of the model`,
    );
  const to = new Lowering(signature);
  const values = new Values(to);
  const inputs: [string, SignaturePort][] = [];
  const named = (label: string, make: () => string): string => {
    to.label = label;
    return make();
  };
  for (const { attrs, outputs } of inputsOf(graph, "placeholder")) {
    const { dtype, shape: dims } = outputs[0]!;
    const name = plan.inputs.get(String(attrs.name))!;
    const tensor = named(name, () => to.one("Placeholder", [], { dtype: type(dtype), shape: shape(dims) }));
    values.set(outputs[0]!, tensor);
    inputs.push([name, { tensor, dtype, shape: dims }]);
  }
  for (const { attrs, outputs } of inputsOf(graph, "variable")) {
    const tensor = plan.values.get(String(attrs.name))!;
    const make = (): string => to.one("Const", [], { dtype: type(tensor.dtype), value: { tensor } });
    values.set(outputs[0]!, named(String(attrs.name), make));
  }
  lowerNodes(to, graph, values);
  const outputs = graph.outputs.map((blob, i): [string, SignaturePort] => {
    const { dtype, shape } = blob;
    const name = plan.outputs[i]!;
    const tensor = named(name, () => to.one("Identity", [values.get(blob)], { T: type(dtype) }));
    return [name, { tensor, dtype, shape }];
  });
  const signatures = {
    [signature]: { inputs: distinct(where, "inputs", inputs), outputs: distinct(where, "outputs", outputs) },
  };
  return encodeSavedModel(to.nodes, { tags: [servingTag], signatures });
}

function distinct(
  where: string,
  key: "inputs" | "outputs",
  ports: readonly (readonly [string, SignaturePort])[],
): Readonly<Record<string, SignaturePort>> {
  const names = ports.map(([name]) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new FlowError("E_DUPLICATE", `${where}: '${twice}' would name two ${key}; pass other names in { ${key} }`);
  return Object.fromEntries(ports);
}
