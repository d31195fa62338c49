import type { Blob } from "../../graph/blob.js";
import type { Graph, Node } from "../../graph/graph.js";
import { rewrite } from "../../graph/rewrite.js";
import { emit, type TraceContext } from "../../graph/trace.js";
import { op } from "../../ops/define.js";
import { type Window, windowOf, windowOutputs } from "../../ops/window.js";
import { dce } from "../../passes/dce.js";
import { fitsKernel } from "./lower/images.js";

/** The maxima alone: TensorFlow's MaxPool. */
export const maxPoolOp = op("tensorflow.maxPool", {
  infer: ([x]: readonly Blob[], window: Window) => ({
    dtype: x!.dtype,
    shape: [...x!.shape.slice(0, 2), ...windowOutputs(x!.shape.slice(2), window)],
  }),
});

/** Of a pool's input, its maxima and their cotangent: the input's. TensorFlow's MaxPoolGrad finds the places again. */
export const maxPoolGradOp = op("tensorflow.maxPoolGrad", {
  infer: ([x]: readonly Blob[], _: Window) => ({ dtype: x!.dtype, shape: x!.shape }),
});

/**
 * Max pools by TensorFlow's own kernels, which know no index: `maxUnpool(dy, index)` becomes the gradient kernel. What needs
 * the index itself (a second derivative) keeps the primitive.
 */
export function pools(graph: Graph, context: TraceContext): Graph {
  const maxima = new Map<Node, Blob>();
  const rewritten = rewrite(graph, context, (node, inputs, keep) => {
    if (node.op === "maxPool" && fitsKernel(node)) {
      const [, index] = keep();
      const y = emit(maxPoolOp, inputs, windowOf(node.attrs as Window));
      maxima.set(index!.node, y);
      return [y, index!];
    }
    const [dy, index] = inputs;
    const pool = node.op === "maxUnpool" ? index!.node : undefined;
    const y = pool === undefined ? undefined : maxima.get(pool);
    if (y === undefined) return undefined;
    return [emit(maxPoolGradOp, [pool!.inputs[0]!, y, dy!], windowOf(pool!.attrs as Window))];
  }).graph;
  return dce(rewritten);
}
