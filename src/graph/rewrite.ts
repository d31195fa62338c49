import type { Blob } from "./blob.js";
import { type Graph, mapRoots, type Node } from "./graph.js";
import { building, GraphBuilder, type TraceContext } from "./trace.js";

/**
 * What takes the place of a node, given its inputs in the new graph; undefined keeps the node, and so does `keep()`, which
 * returns its outputs there. Rules emit with op functions.
 */
export type Rule = (node: Node, inputs: readonly Blob[], keep: () => readonly Blob[]) => readonly Blob[] | undefined;

/** A rewritten graph and where each old blob went. */
export interface Rewritten {
  readonly graph: Graph;
  readonly map: (blob: Blob) => Blob;
}

/** Rebuilds a graph node by node in order, replacing what `rule` answers for; unchanged nodes are shared, not copied. */
export function rewrite(graph: Graph, context: TraceContext, rule: Rule): Rewritten {
  const builder = new GraphBuilder(context);
  const moved = new Map<Blob, Blob>();
  const map = (blob: Blob): Blob => moved.get(blob) ?? blob;
  const isMoved = (blob: Blob): boolean => moved.has(blob);
  building(builder, () => {
    let node: Node;
    let inputs: readonly Blob[];
    builder.device = () => node.device;
    builder.region = () => node.region;
    const keep = (): readonly Blob[] => {
      if (inputs !== node.inputs) return builder.append(node.op, inputs, node.attrs, node.outputs, node.name);
      builder.nodes.push(node);
      return node.outputs;
    };
    for (node of graph.nodes) {
      inputs = moved.size > 0 && node.inputs.some(isMoved) ? node.inputs.map(map) : node.inputs;
      const results = rule(node, inputs, keep) ?? keep();
      if (results === node.outputs) continue;
      for (const [i, output] of node.outputs.entries()) if (results[i] !== output) moved.set(output, results[i]!);
    }
  });
  return { graph: mapRoots(graph, builder.nodes, map), map };
}
