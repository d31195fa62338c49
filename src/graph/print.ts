import { typeText } from "../core/shape.js";
import type { Blob } from "./blob.js";
import type { Attrs, Graph, Node } from "./graph.js";

/** One line per node, `%3:float32[2,3] = multiply %1 %2` (and `@gpu:0` where it was placed), then outputs, updates and checks. */
export function print(graph: Graph): string {
  const numbers = new Map<Blob, number>();
  for (const node of graph.nodes) for (const output of node.outputs) numbers.set(output, numbers.size);
  const ref = (blob: Blob): string => `%${numbers.get(blob) ?? "?"}`;
  const line = (node: Node): string => {
    const results = node.outputs.map((output) => `${ref(output)}:${typeText(output.dtype, output.shape)}`).join(", ");
    const { op, attrs, device } = node;
    if (op === "placeholder" || op === "variable") return `${results} = ${op} '${String(attrs.name)}'`;
    const place = device === undefined ? [] : [`@${device}`];
    return [`${results} =`, op, ...node.inputs.map(ref), ...attrsText(attrs), ...place].join(" ");
  };
  return [
    ...graph.nodes.map(line),
    ...(graph.outputs.length > 0 ? [`return ${graph.outputs.map(ref).join(", ")}`] : []),
    ...[...graph.updates].map(([name, value]) => `update '${name}' = ${ref(value)}`),
    ...graph.checks.map((check) => `check ${ref(check.blob)} in [${check.low}, ${check.high}]`),
  ].join("\n");
}

function attrsText(attrs: Attrs): string[] {
  const entries = Object.entries(attrs).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return entries.length > 0 ? [`{${entries.join(", ")}}`] : [];
}
