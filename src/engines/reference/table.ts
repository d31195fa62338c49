import type { BlobType } from "../../graph/blob.js";
import type { DecomposableName, PrimitiveName } from "../../ops/index.js";
import type { Attributes } from "../table.js";
import { activation } from "./activation.js";
import type { Array64 } from "./array.js";
import { binary } from "./binary.js";
import { elementwise } from "./elementwise.js";
import { indexing } from "./indexing.js";
import { linalg } from "./linalg.js";
import { loss } from "./loss.js";
import { parts } from "./parts.js";
import { reduceRows } from "./reduce.js";
import { sources } from "./sources.js";
import { special } from "./special.js";
import { structure } from "./structure.js";
import { unary } from "./unary.js";
import { window } from "./window.js";

/** Computes an op: the elements of its one output, or of each. */
export type Row<A> = (
  inputs: readonly Array64[],
  attrs: A,
  types: readonly BlobType[],
) => Float64Array | readonly Float64Array[];
export type Rows = { readonly [N in PrimitiveName]: Row<Attributes<N>> } & {
  readonly [N in DecomposableName]?: Row<Attributes<N>>;
};

/** The definition of every primitive. */
export const table: Rows = {
  ...activation,
  ...binary,
  ...elementwise,
  ...linalg,
  ...loss,
  ...indexing,
  ...parts,
  ...reduceRows,
  ...sources,
  ...special,
  ...structure,
  ...unary,
  ...window,
};
