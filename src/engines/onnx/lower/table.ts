import type { Node } from "../../../graph/graph.js";
import { hasRow } from "../../table.js";
import { activation } from "./activation.js";
import { binary } from "./binary.js";
import type { Emitters } from "./context.js";
import { elementwise } from "./elementwise.js";
import { indexing } from "./indexing.js";
import { linalg } from "./linalg.js";
import { loss } from "./loss.js";
import { norm } from "./norm.js";
import { parts } from "./parts.js";
import { reduceRows } from "./reduce.js";
import { sources } from "./sources.js";
import { special } from "./special.js";
import { structure } from "./structure.js";
import { unary } from "./unary.js";
import { window } from "./window.js";

/** How each op becomes ONNX. */
export const table: Emitters = {
  ...activation,
  ...binary,
  ...elementwise,
  ...linalg,
  ...loss,
  ...indexing,
  ...norm,
  ...parts,
  ...reduceRows,
  ...sources,
  ...special,
  ...structure,
  ...unary,
  ...window,
};

/** Whether the engine has a row for a node. */
export const lowers = (node: Node): boolean => hasRow(table, node);
