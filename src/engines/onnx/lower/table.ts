import type { Emitters } from "./context.js";
import { elementwise } from "./elementwise.js";
import { linalg } from "./linalg.js";
import { loss } from "./loss.js";
import { sources } from "./sources.js";
import { structure } from "./structure.js";
import { window } from "./window.js";

/** How each op becomes ONNX. */
export const table: Emitters = { ...elementwise, ...linalg, ...loss, ...sources, ...structure, ...window };
