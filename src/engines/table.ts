import { FlowError } from "../core/errors.js";
import type { Attrs } from "../graph/graph.js";
import type { AttrsOf, DecomposableName, PrimitiveName } from "../ops/index.js";

/** A row's attrs by op name: an engine's table has a row for every primitive and may have one for a decomposable op. */
export type Attributes<N extends PrimitiveName | DecomposableName> = AttrsOf<N> extends Attrs ? AttrsOf<N> : never;

/** The error of a row that an engine cannot have; it says why. */
export function unsupported(engine: string, op: string, why: string): FlowError {
  return new FlowError("E_UNSUPPORTED", `${op}: the ${engine} engine cannot run it: ${why}`);
}
