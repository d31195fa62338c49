import type { Blob } from "../graph/blob.js";
import { type Graph, type Node, rootsOf } from "../graph/graph.js";

/** Drops nodes that no output, update or check needs. */
export function dce(graph: Graph): Graph {
  const live = new Set<Node>();
  const visit = (blob: Blob): void => {
    const stack = [blob.node];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (live.has(node)) continue;
      live.add(node);
      for (const input of node.inputs) stack.push(input.node);
    }
  };
  rootsOf(graph).forEach(visit);
  return { ...graph, nodes: graph.nodes.filter((node) => live.has(node)) };
}
