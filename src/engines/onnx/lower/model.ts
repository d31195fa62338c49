import { bug } from "../../../core/errors.js";
import type { Blob } from "../../../graph/blob.js";
import { type Graph, inputsOf, type Node, rootsOf } from "../../../graph/graph.js";
import { edgeType, type OnnxModel, type OnnxNode, type Port } from "../encode.js";
import { channelAffine, channelDot } from "../per-channel.js";
import { gemm, maxima } from "../rewrite.js";
import { type Emitter, Lowering } from "./context.js";
import { table } from "./table.js";
import { convolve } from "./window.js";

/**
 * The ONNX form of a job. Inputs: placeholders, then variables. Outputs: results, next values of variables, checks. `portable`
 * allows ONNX's own operators only, and names nodes after the ops they come from.
 */
export function lower(name: string, graph: Graph, block?: number, portable = false): OnnxModel {
  const decisions = deciding(graph);
  const to = new Lowering(block, portable, (node) => decisions.has(node));
  const values: Port[] = [];
  const names = new Map<Blob, string>();
  const port = (blob: Blob, label: string): Port => ({
    name: label,
    dtype: edgeType(blob.dtype),
    shape: blob.shape,
  });
  const inputs: Port[] = [];
  for (const kind of ["placeholder", "variable"] as const) {
    for (const node of inputsOf(graph, kind)) {
      const label = `${kind === "variable" ? "var" : "in"}:${String(node.attrs.name)}`;
      const [blob] = node.outputs as readonly [Blob];
      names.set(blob, blob.dtype === "float16" ? to.cast(label, "float16") : label);
      inputs.push(port(blob, label));
    }
  }
  const rows: Readonly<Record<string, Emitter<never> | undefined>> = {
    ...table,
    "onnx.gemm": gemm,
    "onnx.convBias": convolve,
    "onnx.channelAffine": channelAffine,
    "onnx.channelDot": channelDot,
    "onnx.maxima": maxima,
  };
  const labels = [
    ...graph.outputs.map((_, i) => `out:${i}`),
    ...[...graph.updates.keys()].map((v) => `next:${v}`),
    ...graph.checks.map((_, i) => `check:${i}`),
  ];
  const roots = rootsOf(graph);
  const leaving = new Map(roots.map((blob, i) => [blob, labels[i]!]));
  for (const node of graph.nodes) {
    if (node.op === "placeholder" || node.op === "variable") continue;
    const emitter = rows[node.op];
    if (emitter === undefined) throw bug(`the onnx engine got op '${node.op}', which has no row`);
    const first = to.nodes.length;
    const made = [
      emitter(
        to,
        node.inputs.map((input) => names.get(input)!),
        node.attrs as never,
        node.outputs,
        node,
      ),
    ].flat();
    for (const [i, output] of node.outputs.entries()) {
      const label = leaving.get(output);
      // float16 leaves as float32, by a cast below.
      const direct = label !== undefined && !portable && output.dtype !== "float16";
      const named = direct && to.rename(made[i]!, label, first) ? label : made[i]!;
      names.set(output, named);
      values.push({ ...port(output, named), dtype: output.dtype });
    }
    if (portable && node.name !== undefined)
      for (let i = first; i < to.nodes.length; i++)
        to.nodes[i] = { ...to.nodes[i]!, name: `${node.name}/${to.nodes[i]!.op}_${i}` };
  }
  // A root that is an input or an initializer, or is asked for twice, leaves through a node of its own.
  const outputs = roots.map((blob, i) => {
    const value = names.get(blob)!;
    if (value !== labels[i])
      to.nodes.push({
        op: "Identity",
        name: `output_${i}`,
        inputs: [blob.dtype === "float16" ? to.cast(value, "float32") : value],
        outputs: [labels[i]!],
        attributes: {},
      });
    return port(blob, labels[i]!);
  });
  return {
    name,
    inputs,
    outputs,
    initializers: to.initializers,
    nodes: to.nodes,
    values,
  };
}

/**
 * In a job with gradients of convolutions, what a relu or a max pool with places depends on. Where such a value is exactly zero, or
 * the same as another, an error of rounding would send a gradient elsewhere: MNIST's background through a layer without bias is zero.
 * A relu that is part of a normalization (`onnx.channelAffine`) counts no more: the mean has been taken off what was zero.
 */
function deciding(graph: Graph): ReadonlySet<Node> {
  const found = new Set<Node>();
  if (!graph.nodes.some(({ op }) => op === "convFilterGrad")) return found;
  for (const node of graph.nodes.toReversed()) {
    if (!found.has(node) && !kinked.has(node.op)) continue;
    // What is computed again waits for a gradient, but does not depend on it.
    const inputs = node.op === "later" ? node.inputs.slice(0, 1) : node.inputs;
    for (const input of inputs) found.add(input.node);
  }
  return found;
}

const kinked = new Set(["relu", "leakyRelu", "maxPool"]);

/**
 * Nodes by the length of the longest path from them to a value that nothing reads, shortest first. onnxruntime sorts a graph many
 * times while it loads it, with a linear list of the nodes that are ready, of which it takes the one that comes first here: so what hangs on
 * variables alone and every update leaves the list at once. Ties keep the order of the graph: it runs updates in the reverse
 * order of their variables, each as soon as its gradient is there.
 */
export function shallowFirst(nodes: readonly OnnxNode[]): readonly OnnxNode[] {
  const heights = new Map<string, number>();
  const height = new Map<OnnxNode, number>();
  for (const node of nodes.toReversed()) {
    const own = Math.max(0, ...node.outputs.map((output) => heights.get(output) ?? 0));
    height.set(node, own);
    for (const input of node.inputs) heights.set(input, Math.max(heights.get(input) ?? 0, own + 1));
  }
  return nodes.toSorted((a, b) => height.get(a)! - height.get(b)!);
}
