import { bug } from "../core/errors.js";
import { sameShape, typeText } from "../core/shape.js";
import type { Blob } from "./blob.js";
import { type Graph, rootsOf } from "./graph.js";
import type { Shaped } from "./trace.js";

/** Throws where a graph breaks its own rules: order, shape rules, updates of the variable's type. `after` names the pass. */
export function check(graph: Graph, after: string, find: (op: string) => Shaped<never> | undefined): void {
  const seen = new Set<Blob>();
  const variables = new Map<string, Blob>();
  const known = (blob: Blob, where: string): void => {
    if (!seen.has(blob)) throw bug(`after ${after}: ${where} uses ${String(blob)}, which no earlier node makes`);
  };
  for (const node of graph.nodes) {
    for (const input of node.inputs) known(input, node.op);
    if (node.op === "variable") {
      if (variables.has(String(node.attrs.name)))
        throw bug(`after ${after}: variable '${String(node.attrs.name)}' appears twice`);
      variables.set(String(node.attrs.name), node.outputs[0]!);
    } else if (node.op !== "placeholder") {
      const op = find(node.op);
      if (op === undefined) throw bug(`after ${after}: unknown op '${node.op}'`);
      const inferred = [op.infer(node.inputs, node.attrs as never)].flat();
      for (const [i, type] of inferred.entries()) {
        const got = node.outputs[i];
        if (got === undefined || got.dtype !== type.dtype || !sameShape(got.shape, type.shape)) {
          throw bug(
            `after ${after}: output ${i} of ${node.op} is ${String(got)}, its rule gives ${typeText(type.dtype, type.shape)}`,
          );
        }
      }
    }
    for (const output of node.outputs) seen.add(output);
  }
  for (const root of rootsOf(graph)) known(root, "a root");
  for (const [name, value] of graph.updates) {
    const variable = variables.get(name);
    if (variable !== undefined && (variable.dtype !== value.dtype || !sameShape(variable.shape, value.shape))) {
      throw bug(`after ${after}: update of '${name}' is ${String(value)}, the variable is ${String(variable)}`);
    }
  }
}
