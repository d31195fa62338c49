import type { Blob } from "../graph/blob.js";
import type { Attrs } from "../graph/graph.js";
import type { Rule } from "../graph/rewrite.js";
import { findOp } from "../ops/index.js";

const texts = new WeakMap<Attrs, string>();

/** Attributes as a text, the same for equal ones; made once for each frozen object, which nodes hand on. */
function textOf(attrs: Attrs): string {
  const known = texts.get(attrs);
  if (known !== undefined) return known;
  const text = JSON.stringify(Object.entries(attrs).sort(([a], [b]) => (a < b ? -1 : 1)));
  texts.set(attrs, text);
  return text;
}

/** The rule that merges nodes of equal op, attrs and inputs. Host nodes stay apart: their names choose their random streams. */
export function merging(): Rule {
  const numbers = new Map<Blob, number>();
  const number = (blob: Blob): number => {
    const known = numbers.get(blob);
    if (known !== undefined) return known;
    numbers.set(blob, numbers.size);
    return numbers.size - 1;
  };
  const seen = new Map<string, readonly Blob[]>();
  return (node, inputs, keep) => {
    const op = findOp(node.op);
    if (op === undefined || op.kind === "host") return undefined;
    const key = `${node.op} ${inputs.map(number).join()} ${textOf(node.attrs)}`;
    const known = seen.get(key);
    if (known !== undefined) return known;
    const outputs = keep();
    seen.set(key, outputs);
    return outputs;
  };
}
