import { FlowError } from "../core/errors.js";
import type { BlobType } from "../graph/blob.js";
import type { Attrs, Node } from "../graph/graph.js";
import type { AttrsOf, DecomposableName, PrimitiveName } from "../ops/index.js";

/** A row's attrs by op name: an engine's table has a row for every primitive and may have one for a decomposable op. */
export type Attributes<N extends PrimitiveName | DecomposableName> = AttrsOf<N> extends Attrs ? AttrsOf<N> : never;

/** Lowers one node into a `to` of the engine's; `types` are those of its outputs, `node` has those of its inputs. */
export interface Emitter<To, A> {
  (to: To, inputs: readonly string[], attrs: A, types: readonly BlobType[], node: Node): string | readonly string[];
  /** Of a decomposable op: the nodes this row is for; the others are decomposed. */
  readonly fits?: (node: Node) => boolean;
}

/** A table without holes. */
export type Emitters<To> = { readonly [N in PrimitiveName]: Emitter<To, Attributes<N>> } & {
  readonly [N in DecomposableName]?: Emitter<To, Attributes<N>>;
};

/** A row for some nodes of a decomposable op only: those whose kernel the engine has. */
export const onlyWhere = <To, A>(fits: (node: Node) => boolean, emit: Emitter<To, A>): Emitter<To, A> =>
  Object.assign((...args: Parameters<Emitter<To, A>>) => emit(...args), { fits });

/** Whether a table has a row for a node. */
export function hasRow<To>(table: Emitters<To>, node: Node): boolean {
  const row = (table as Partial<Record<string, Emitter<To, never>>>)[node.op];
  return Object.hasOwn(table, node.op) && (row?.fits?.(node) ?? true);
}

/** The error of a row that an engine cannot have; it says why. */
export function unsupported(engine: string, op: string, why: string): FlowError {
  return new FlowError("E_UNSUPPORTED", `${op}: the ${engine} engine cannot run it: ${why}`);
}
