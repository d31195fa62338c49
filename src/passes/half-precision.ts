import type { Blob } from "../graph/blob.js";
import type { Attrs, Graph, Node } from "../graph/graph.js";
import { rewrite } from "../graph/rewrite.js";
import { currentBuilder, type TraceContext } from "../graph/trace.js";
import { cast } from "../ops/elementwise.js";
import { findOp } from "../ops/index.js";

/**
 * float16 is for storage: every op on it takes its float16 inputs as float32, computes so, and its result is rounded back. What
 * engines see of float16 are inputs, casts and roots.
 */
export function computeHalvesInFloat32(graph: Graph, context: TraceContext): Graph {
  if (!graph.nodes.some(touchesHalves)) return graph;
  return rewrite(graph, context, (node, inputs) => {
    const op = findOp(node.op);
    if (op === undefined || op.kind === "host" || node.op === "cast" || !touchesHalves(node)) return undefined;
    const wide = inputs.map((input) => (isHalf(input) ? cast(input, "float32") : input));
    const attrs = node.attrs.dtype === "float16" ? { ...node.attrs, dtype: "float32" } : node.attrs;
    const types = [op.infer(wide, attrs as Attrs)].flat();
    const results = currentBuilder("half precision").append(node.op, wide, attrs as Attrs, types, node.name);
    return results.map((result, i) => (isHalf(node.outputs[i]!) ? cast(result, "float16") : result));
  }).graph;
}

const isHalf = ({ dtype }: Blob): boolean => dtype === "float16";
const touchesHalves = ({ inputs, outputs }: Node): boolean => [...inputs, ...outputs].some(isHalf);
