import type { Attrs } from "../graph/graph.js";
import type { Op } from "./define.js";

/** Ops that programs have added, by name; `registerOp` fills it. */
export const customOps = new Map<string, Op<string, Attrs>>();
