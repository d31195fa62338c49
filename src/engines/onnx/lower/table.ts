import { activation } from "./activation.js";
import { binary } from "./binary.js";
import type { Emitters } from "./context.js";
import { elementwise } from "./elementwise.js";
import { linalg } from "./linalg.js";
import { loss } from "./loss.js";
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
  ...sources,
  ...special,
  ...structure,
  ...unary,
  ...window,
};
