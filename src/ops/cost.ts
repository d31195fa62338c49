import { byteSize } from "../core/dtype.js";
import { sizeOf } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { type Graph, type Node, rootsOf } from "../graph/graph.js";

/** Bytes of a value. */
export const bytesOfType = ({ dtype, shape }: BlobType): number => sizeOf(shape) * byteSize(dtype);

// Values that move, repeat or name others cost no arithmetic.
const free = new Set([
  "placeholder",
  "variable",
  "constant",
  "iota",
  "identity",
  "reshape",
  "transpose",
  "broadcastTo",
  "slice",
  "concat",
  "pad",
  "gather",
  "replaceRows",
  "unfold",
  "cast",
  "dropoutMask",
  "permutation",
  "randomNumbers",
]);
// Ops whose result an engine keeps in the memory of their input.
const aliases = new Set(["identity", "reshape"]);

/**
 * Floating-point operations of a node by the field's count: 2 for each multiply and add of products and convolutions, 1 for
 * an element of other ops, those of a reduction or scatter counted at their input.
 */
export function flopOf({ op, inputs, outputs, attrs }: Node): number {
  if (free.has(op)) return 0;
  const out = sizeOf(outputs[0]!.shape);
  const [a, b] = inputs.map(({ shape }) => shape);
  switch (op) {
    case "matmul":
      return 2 * out * (attrs.transposeA === true ? a!.at(-2)! : a!.at(-1)!);
    case "conv": // y: one product of a filter at each place
      return 2 * out * sizeOf(b!.slice(1));
    case "convInputGrad": // dy, w
      return 2 * sizeOf(a!) * sizeOf(b!.slice(1));
    case "convFilterGrad": // x, dy
      return 2 * sizeOf(b!) * (out / b![1]!);
    case "maxPool":
    case "avgPool":
      return out * sizeOf((attrs.kernel as readonly number[] | undefined) ?? [1]);
    default:
      return Math.max(out, ...inputs.map(({ shape }) => sizeOf(shape)));
  }
}

/** The most bytes of intermediate values alive at once, where each is freed after its last use: what an engine's plan needs at least. */
export function peakActivationBytes(graph: Graph): number {
  const owner = new Map<Blob, Blob>();
  const ownerOf = (blob: Blob): Blob => owner.get(blob) ?? blob;
  const lastUse = new Map<Blob, number>();
  for (const [i, node] of graph.nodes.entries()) {
    if (aliases.has(node.op)) owner.set(node.outputs[0]!, ownerOf(node.inputs[0]!));
    for (const input of node.inputs) lastUse.set(ownerOf(input), i);
  }
  for (const root of rootsOf(graph)) lastUse.set(ownerOf(root), graph.nodes.length);
  const freedAfter = new Map<number, Blob[]>();
  for (const [blob, at] of lastUse) freedAfter.set(at, [...(freedAfter.get(at) ?? []), blob]);
  const counts = ({ node }: Blob): boolean => !["placeholder", "variable", "constant"].includes(node.op);
  let alive = 0;
  let peak = 0;
  for (const [i, node] of graph.nodes.entries()) {
    for (const output of node.outputs) if (counts(output) && ownerOf(output) === output) alive += bytesOfType(output);
    peak = Math.max(peak, alive);
    for (const blob of freedAfter.get(i) ?? []) if (counts(blob)) alive -= bytesOfType(blob);
  }
  return peak;
}
