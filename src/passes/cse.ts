import type { Blob } from "../graph/blob.js";
import type { Attrs, Graph } from "../graph/graph.js";
import { rewrite } from "../graph/rewrite.js";
import type { TraceContext } from "../graph/trace.js";
import { findOp } from "../ops/index.js";

const texts = new WeakMap<Attrs, string>();

/** Attributes as a text, the same for equal ones; made once for each frozen object, which nodes hand on. */
function textOf(attrs: Attrs): string {
  const text = texts.get(attrs) ?? JSON.stringify(Object.entries(attrs).sort(([a], [b]) => (a < b ? -1 : 1)));
  texts.set(attrs, text);
  return text;
}

/** Merges nodes of equal op, attrs and inputs. Host nodes stay apart: their names choose their random streams. */
export function cse(graph: Graph, context: TraceContext): Graph {
  const numbers = new Map<Blob, number>();
  const number = (blob: Blob): number => {
    const known = numbers.get(blob) ?? numbers.size;
    numbers.set(blob, known);
    return known;
  };
  const seen = new Map<string, readonly Blob[]>();
  return rewrite(graph, context, (node, inputs, keep) => {
    const op = findOp(node.op);
    if (op === undefined || op.kind === "host") return undefined;
    const key = `${node.op} ${inputs.map(number).join()} ${textOf(node.attrs)}`;
    const outputs = seen.get(key) ?? keep();
    seen.set(key, outputs);
    return outputs;
  }).graph;
}
