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
  for (;;) {
    let found = false;
    const { graph: next, map } = rewrite(result.graph, context, (node, inputs) => {
      const op = findOp(node.op);
      if (op?.decompose === undefined || !wanted(op, node)) return undefined;
      found = true;
      return op.decompose(inputs, node.attrs);
    });
    if (!found) return result;
    const before = result.map;
    result = { graph: next, map: (blob) => map(before(blob)) };
  }
}
