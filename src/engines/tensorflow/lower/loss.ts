import type { Node } from "../../../graph/graph.js";
import { type Emitters, onlyWhere, same } from "./context.js";

/** TensorFlow's kernels reduce the last axis. */
const alongLast = ({ attrs, outputs: [y] }: Node): boolean =>
  attrs.axis === y!.shape.length - 1 && (y!.dtype === "float32" || y!.dtype === "float64");

export const loss = {
  logSoftmax: onlyWhere(alongLast, same("LogSoftmax")),
  softmax: onlyWhere(alongLast, same("Softmax")),
} satisfies Partial<Emitters>;
