import { FlowError } from "../../core/errors.js";
import type { Tensor } from "../../core/tensor.js";
import type { Node } from "../../graph/graph.js";
import type { NativeJob } from "../engine.js";
import { encodeModel, type OnnxModel, type OnnxNode, type Port } from "./encode.js";
import { lower } from "./lower/model.js";
import { lowers } from "./lower/table.js";
import { fuse } from "./rewrite.js";
import { exportable } from "./versions.js";

/** What `compile` asks of an engine, for models that any ONNX runtime must read: rows that need a vendor's operators are left out. */
export const portable = {
  name: "onnx export",
  lowers: (node: Node): boolean =>
    lowers(node) &&
    node.op !== "gelu" &&
    // AveragePool has dilations since opset 19.
    (node.op !== "avgPool" || (node.attrs.dilations as readonly number[]).every((dilation) => dilation === 1)),
};

/** Names in an exported model, and what is written into it. */
export interface ExportPlan {
  /** By name of the graph's placeholders. */
  readonly inputs: ReadonlyMap<string, string>;
  /** In the order of the graph's outputs. */
  readonly outputs: readonly string[];
  readonly values: ReadonlyMap<string, Tensor>;
  readonly opset: number;
  readonly producerVersion: string;
}

// A protobuf message ends here.
const limit = 2 ** 31 - 1;

/** The bytes of an ONNX model of a job, variables as initializers, with ONNX's own operators only. The job has outputs alone: no checks, no updates. */
export async function exportModel(job: NativeJob, plan: ExportPlan): Promise<Uint8Array> {
  const graph = fuse(job.graph, job.context);
  const lowered = lower(job.name, graph, undefined, true);
  const bytes = [...plan.values.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  if (bytes > limit)
    throw new FlowError(
      "E_UNSUPPORTED",
      `onnx.export: job '${job.name}' has ${bytes} bytes of variables, an ONNX file holds at most ${limit}; export a smaller part of the model`,
    );
  const model = named(lowered, plan);
  return encodeModel(older(model, plan.opset), {
    irVersion: exportable[plan.opset]!,
    opset: plan.opset,
    producerVersion: plan.producerVersion,
    describe: true,
  });
}

/** Gives inputs, outputs and variables the names that the user knows; values in between keep theirs unless one is taken. */
function named(model: OnnxModel, plan: ExportPlan): OnnxModel {
  const names = new Map<string, string>();
  const variables: { name: string; tensor: Tensor }[] = [];
  const inputs: Port[] = [];
  for (const port of model.inputs) {
    const [kind, name] = [port.name.slice(0, port.name.indexOf(":")), port.name.slice(port.name.indexOf(":") + 1)];
    if (kind === "in") {
      names.set(port.name, plan.inputs.get(name)!);
      inputs.push({ ...port, name: plan.inputs.get(name)! });
    } else {
      names.set(port.name, name);
      variables.push({ name, tensor: plan.values.get(name)! });
    }
  }
  const outputs = model.outputs.map((port, i) => {
    names.set(port.name, plan.outputs[i]!);
    return { ...port, name: plan.outputs[i]! };
  });
  const taken = new Set<string>();
  for (const name of names.values()) {
    if (taken.has(name))
      throw new FlowError(
        "E_DUPLICATE",
        `onnx.export: '${name}' would name two of the model's inputs, outputs and variables; pass other names in { inputs } and { outputs }`,
      );
    taken.add(name);
  }
  const nameOf = (value: string): string => {
    const known = names.get(value);
    if (known !== undefined || value === "") return known ?? "";
    let free = value;
    while (taken.has(free)) free += "_";
    taken.add(free);
    names.set(value, free);
    return free;
  };
  const nodes = model.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(nameOf),
    outputs: node.outputs.map(nameOf),
  }));
  const made = new Set(nodes.flatMap((node) => node.outputs));
  const ends = new Set(outputs.map(({ name }) => name));
  return {
    name: model.name,
    inputs,
    outputs,
    nodes,
    initializers: [...variables, ...model.initializers.map(({ name, tensor }) => ({ name: nameOf(name), tensor }))],
    values: (model.values ?? [])
      .map((port) => ({ ...port, name: nameOf(port.name) }))
      .filter(({ name }) => made.has(name) && !ends.has(name)),
  };
}

function older(model: OnnxModel, opset: number): OnnxModel {
  const undilated = opset < 19 ? beforeOpset19(model) : model;
  return opset < 18 ? beforeOpset18(undilated) : undilated;
}

/** Before opset 19 AveragePool had no dilations; `portable` leaves only those of 1. */
function beforeOpset19(model: OnnxModel): OnnxModel {
  const nodes = model.nodes.map((node): OnnxNode => {
    if (node.op !== "AveragePool") return node;
    const { dilations: _, ...attributes } = node.attributes;
    return { ...node, attributes };
  });
  return { ...model, nodes };
}

/** Before opset 18 the axes of these reductions were an attribute. */
function beforeOpset18(model: OnnxModel): OnnxModel {
  const constants = new Map(model.initializers.map(({ name, tensor }) => [name, tensor]));
  const nodes = model.nodes.map((node): OnnxNode => {
    if (!["ReduceMax", "ReduceMin", "ReduceProd"].includes(node.op)) return node;
    const axes = constants.get(node.inputs[1]!)!;
    return {
      ...node,
      inputs: [node.inputs[0]!],
      attributes: { ...node.attributes, axes: { ints: Array.from(axes.data as BigInt64Array, Number) } },
    };
  });
  const used = new Set(nodes.flatMap((node) => node.inputs));
  return { ...model, nodes, initializers: model.initializers.filter(({ name }) => used.has(name)) };
}
