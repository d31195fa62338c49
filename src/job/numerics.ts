import type { Node } from "../graph/graph.js";
import { currentBuilder, emit, emitCheck, originOf, textOf } from "../graph/trace.js";
import { cast, isFiniteOp } from "../ops/elementwise.js";
import { reduceMin } from "../ops/reduce.js";

/** Adds to the current graph a check of every floating value, in the order of their computation: no NaN, no infinity. */
export function addNumericChecks(): void {
  const { nodes, job } = currentBuilder("checkNumerics");
  for (const node of [...nodes]) {
    // Constants are the user's word: masks use -infinity.
    if (node.op === "constant") continue;
    for (const output of node.outputs) {
      if (!output.dtype.startsWith("float")) continue;
      const finite = reduceMin(cast(emit(isFiniteOp, [output], {}), "int32"));
      emitCheck({
        blob: finite,
        low: 1,
        high: 1,
        what: "",
        code: "E_NUMERICS",
        message: `job '${job}': ${nameOf(node)}, ${textOf(output)}, has a NaN or an infinity, the first in this step`,
      });
    }
  }
}

function nameOf(node: Node): string {
  if (node.op === "placeholder") return String(node.attrs.name);
  if (node.op === "variable") return `variable '${String(node.attrs.name)}'`;
  if (node.name !== undefined) return `the result of ${node.op} '${node.name}'`;
  const origin = originOf(node);
  return `the result of ${node.op}${origin === undefined ? "" : ` in ${origin}`}`;
}
