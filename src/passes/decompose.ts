import type { Attrs, Graph, Node } from "../graph/graph.js";
import { type Rewritten, rewrite } from "../graph/rewrite.js";
import type { TraceContext } from "../graph/trace.js";
import type { Op } from "../ops/define.js";
import { findOp } from "../ops/index.js";

/** Replaces every node that `wanted` names by its decomposition, repeatedly, until none is left. */
export function decompose(
  graph: Graph,
  context: TraceContext,
  wanted: (op: Op<string, Attrs>, node: Node) => boolean,
): Rewritten {
  let result: Rewritten = { graph, map: (blob) => blob };
  const isWanted = (node: Node): boolean => {
    const op = findOp(node.op);
    return op?.decompose !== undefined && wanted(op, node);
  };
  for (;;) {
    const found = new Set(result.graph.nodes.filter(isWanted));
    if (found.size === 0) return result;
    const { graph: next, map } = rewrite(result.graph, context, (node, inputs) =>
      found.has(node) ? findOp(node.op)?.decompose?.(inputs, node.attrs) : undefined,
    );
    const before = result.map;
    result = { graph: next, map: (blob) => map(before(blob)) };
  }
}
