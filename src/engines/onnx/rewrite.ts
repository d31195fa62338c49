import { sameShape } from "../../core/shape.js";
import type { Blob, BlobType } from "../../graph/blob.js";
import { type Graph, type Node, usesOf } from "../../graph/graph.js";
import { rewrite } from "../../graph/rewrite.js";
import { emit, type TraceContext } from "../../graph/trace.js";
import type { ConvAttrs } from "../../ops/conv.js";
import { op } from "../../ops/define.js";
import type { MatmulAttrs } from "../../ops/linalg.js";
import { maxPoolOp } from "../../ops/pool.js";
import { constantValue, isScalar } from "../../ops/sources.js";
import { reshape } from "../../ops/structure.js";
import { type Window, windowOf } from "../../ops/window.js";
import { dce } from "../../passes/dce.js";
import { type Emitter, float, int } from "./lower/context.js";
import { windowAttributes } from "./lower/window.js";
import { matchPerChannel } from "./per-channel.js";

/** `alpha A B + C`, one pass over the result: what onnxruntime's Gemm computes. C may be missing. */
export const gemmOp = op("onnx.gemm", {
  infer: ([a]: readonly Blob[], { shape }: GemmAttrs): BlobType => ({ dtype: a!.dtype, shape }),
});
type GemmAttrs = MatmulAttrs & { readonly alpha: number; readonly shape: readonly number[] };

export const gemm: Emitter<GemmAttrs> = (to, inputs, { transposeA, transposeB, alpha }) =>
  to.one("Gemm", inputs, { transA: int(transposeA), transB: int(transposeB), alpha: float(alpha) });

/** `conv + bias`, one pass over the result: the third input of onnxruntime's Conv. */
export const convBiasOp = op("onnx.convBias", {
  infer: ([, , bias]: readonly Blob[], { shape }: ConvBiasAttrs): BlobType => ({ dtype: bias!.dtype, shape }),
});
type ConvBiasAttrs = ConvAttrs & { readonly shape: readonly number[] };

/** The maxima alone, where nothing asks for their places: onnxruntime's kernel is 15 times as fast (LeNet's first pool: 0.3 ms, not 4.5). */
export const maximaOp = op("onnx.maxima", {
  infer: ([x]: readonly Blob[], { shape }: MaximaAttrs): BlobType => ({ dtype: x!.dtype, shape }),
});
type MaximaAttrs = Window & { readonly shape: readonly number[] };

export const maxima: Emitter<MaximaAttrs> = (to, inputs, attrs) => to.one("MaxPool", inputs, windowAttributes(attrs));

/**
 * Matrix products and convolutions that take their neighbours in: `matmul + bias`, `conv + bias`, `c matmul` (the share of a loss in a
 * batch, an optimizer's factor), and the update `w - lr matmul`, which then touches the weights once instead of four times (MLP
 * 784-512-10: the update's multiply and subtract vanish); and what normalization by the batch does to each channel. Max pools without places.
 */
export function fuse(graph: Graph, context: TraceContext): Graph {
  const counts = usesOf(graph);
  // Counted on the graph before: nodes are visited by their old inputs, replaced by the new ones.
  const single = (blob: Blob): boolean => counts.get(blob) === 1;
  const fused = rewrite(graph, context, (node, inputs, keep) => {
    if (node.op === maxPoolOp.name && !counts.has(node.outputs[1]!)) {
      const attrs = { ...windowOf(node.attrs as Window), shape: node.outputs[0]!.shape };
      return [emit(maximaOp, inputs, attrs, node.name), keep()[1]!];
    }
    const match =
      matchGemm(node, inputs, single) ?? matchConvBias(node, inputs, single) ?? matchPerChannel(node, inputs, single);
    return match === undefined ? undefined : [match];
  }).graph;
  return dce(fused);
}

function matchGemm(node: Node, inputs: readonly Blob[], single: (blob: Blob) => boolean): Blob | undefined {
  const [x, y] = inputs;
  const [oldX, oldY] = node.inputs;
  if (node.op === "add") return gemmOf(x!, y!, oldX!, 1, single) ?? gemmOf(y!, x!, oldY!, 1, single);
  if (node.op === "subtract") return gemmOf(y!, x!, oldY!, -1, single);
  if (node.op === "multiply" && single(oldX!)) return scaledGemm(x!, y!);
  return undefined;
}

/** `product * scale` as a Gemm without C, where `product` is a rank-2 matmul. */
function scaledGemm(product: Blob, scale: Blob): Blob | undefined {
  const alpha = constantValue(scale);
  const { shape, dtype, node } = product;
  if (alpha === undefined || node.op !== "matmul" || shape.length !== 2 || scale.shape.length > 2 || !isScalar(scale))
    return undefined;
  // Gemm's alpha is float32.
  if (dtype !== "float32" && !(dtype === "float64" && Math.fround(alpha) === alpha)) return undefined;
  return emit(gemmOp, [...node.inputs], { ...(node.attrs as MatmulAttrs), alpha, shape });
}

/** `sign * product + c` as one Gemm, where `product` is a rank-2 matmul, possibly times a constant, used only here. */
function gemmOf(product: Blob, c: Blob, old: Blob, sign: number, single: (blob: Blob) => boolean): Blob | undefined {
  if (!single(old)) return undefined;
  const { node, shape } = product;
  const [a, b, other] = node.inputs;
  const isProduct = node.op === "matmul" || (node.op === "onnx.gemm" && other === undefined);
  if (!isProduct || shape.length !== 2) return undefined;
  const fits = sameShape(c.shape, shape) || (c.shape.length === 1 && (c.shape[0] === shape[1] || c.shape[0] === 1));
  if (!fits) return undefined;
  const { transposeA, transposeB, alpha = 1 } = node.attrs as MatmulAttrs & Partial<GemmAttrs>;
  return emit(gemmOp, [a!, b!, c], { transposeA, transposeB, alpha: sign * alpha, shape });
}

/** `conv + bias`, where the bias is one number a channel, the convolution is used only here and has a kernel. */
function matchConvBias(node: Node, inputs: readonly Blob[], single: (blob: Blob) => boolean): Blob | undefined {
  const [y, shaped] = inputs;
  if (node.op !== "add" || y!.node.op !== "conv" || y!.dtype !== "float32" || !single(node.inputs[0]!))
    return undefined;
  const channels = y!.shape[1]!;
  const spread = [channels, ...y!.shape.slice(2).map(() => 1)];
  if (!sameShape(shaped!.shape, spread)) return undefined;
  const attrs = { ...(y!.node.attrs as ConvAttrs), shape: y!.shape };
  return emit(convBiasOp, [...y!.node.inputs, reshape(shaped!, [channels])], attrs);
}
