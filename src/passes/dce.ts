import { type Graph, type Node, rootsOf } from "../graph/graph.js";

/** Drops nodes that no output, update or check needs. */
export function dce(graph: Graph): Graph {
  const live = new Set<Node>(rootsOf(graph).map(({ node }) => node));
  // Inputs come first, so all that needs a node is seen before it.
  for (const node of graph.nodes.toReversed()) {
    if (live.has(node)) for (const input of node.inputs) live.add(input.node);
  }
  return { ...graph, nodes: graph.nodes.filter((node) => live.has(node)) };
}
