import { type Shape, sameShape, sizeOf } from "../../core/shape.js";
import type { Blob, BlobType } from "../../graph/blob.js";
import type { Node } from "../../graph/graph.js";
import { emit } from "../../graph/trace.js";
import { op } from "../../ops/define.js";
import { negative } from "../../ops/elementwise.js";
import type { ReduceAttrs } from "../../ops/reduce.js";
import { constantOp, constantValue } from "../../ops/sources.js";
import { reshape } from "../../ops/structure.js";
import { type Emitter, float, int } from "./lower/context.js";

// What normalization by the batch does to images [N, C, ...]: scales, offsets and sums a channel. Figures: two cores of an EPYC 9004
// (AVX-512), ms a pass over [8, 256, 56, 56].

/** Places of an image from which a grouped convolution, 60 ns a group, is faster than passes of their own for offset, addend and relu: 1.1 against 3.3. */
const placesWorthFusing = 512;
/** The same without addend and relu, where BatchNormalization takes one pass on one thread: 1.1 against 1.5. */
const placesWorthConvolving = 1024;
/** The same for sums of products, a row a channel each: 0.8 against 1.8 for the product and its sum. */
const placesWorthMultiplying = 512;
/** Places up to which broadcasting a number a channel is slower than BatchNormalization: [8, 1024, 4, 4] 0.06 against 0.04. */
const placesTooFew = 64;

/** `scale x + offset + addend`, then relu; scale and offset are `[C]`, addend may be left out. */
export const channelAffineOp = op("onnx.channelAffine", {
  infer: ([x]: readonly Blob[], _: ChannelAffineAttrs): BlobType => x!,
});
type ChannelAffineAttrs = { readonly relu: boolean };

export const channelAffine: Emitter<ChannelAffineAttrs> = (to, [x, scale, offset, addend], { relu }, [type]) => {
  const { shape } = type!;
  const channels = shape[1]!;
  const places = sizeOf(shape.slice(2));
  if (places >= (addend !== undefined || relu ? placesWorthFusing : placesWorthConvolving)) {
    const weights = to.one("Reshape", [scale!, to.ints([channels, 1, ...shape.slice(2).map(() => 1)])]);
    const inputs = [x!, weights, offset!, ...(addend === undefined ? [] : [addend])];
    const activation = relu ? { activation: { string: "Relu" } } : {};
    return to.one("FusedConv", inputs, { group: int(channels), ...activation }, "com.microsoft");
  }
  const [mean, variance] = [0, 1].map((value) =>
    to.tensor({ dtype: "float32", shape: [channels], data: new Float32Array(channels).fill(value) }),
  );
  const moved = to.one("BatchNormalization", [x!, scale!, offset!, mean!, variance!], { epsilon: float(0) });
  const sum = addend === undefined ? moved : to.one("Add", [moved, addend]);
  return relu ? to.one("Relu", [sum]) : sum;
};

/** Sums of `x y` a channel, `[C]`. */
export const channelDotOp = op("onnx.channelDot", {
  infer: ([x]: readonly Blob[]): BlobType => ({ dtype: x!.dtype, shape: [x!.shape[1]!] }),
});

export const channelDot: Emitter<unknown> = (to, [x, y], _, __, node) => {
  const [batch, channels, ...sizes] = node.inputs[0]!.shape as [number, number, ...number[]];
  const rows = (value: string): string => to.one("Reshape", [value, to.ints([batch, channels, 1, sizeOf(sizes)])]);
  const transposed = { transA: int(0), transB: int(1) };
  const products = to.one("FusedMatMul", [rows(x!), rows(y!)], transposed, "com.microsoft");
  return to.one("ReduceSum", [products, to.ints([0, 2, 3])], { keepdims: int(0) });
};

/** What takes the place of a node of per-channel arithmetic; `single` says whether an old blob has one use. */
export function matchPerChannel(
  node: Node,
  inputs: readonly Blob[],
  single: (blob: Blob) => boolean,
): Blob | undefined {
  const [type] = node.outputs as readonly [Blob];
  const [x, y] = inputs;
  const [oldX, oldY] = node.inputs;
  if (type.dtype !== "float32") return undefined;
  if (node.op === "reduceSum") return single(oldX!) ? dotOf(node, x!) : undefined;
  if (type.shape.length < 3) return undefined;
  switch (node.op) {
    case "relu":
      return single(oldX!) ? reluOf(x!) : undefined;
    case "add":
      return (
        (single(oldX!) ? offsetOf(x!, y!) : undefined) ??
        (single(oldY!) ? offsetOf(y!, x!) : undefined) ??
        (single(oldX!) ? addendOf(x!, y!) : undefined) ??
        (single(oldY!) ? addendOf(y!, x!) : undefined)
      );
    case "multiply": {
      const [images, scale] = scaleOf(x!, y!);
      return images !== undefined && isSlow(images) ? affine(images, scale!, filled(0, scale!)) : undefined;
    }
    case "subtract":
      return isPerChannel(y!, x!.shape) && isSlow(x!) ? affine(x!, filled(1, y!), negative(y!)) : undefined;
    default:
      return undefined;
  }
}

/** Whether a blob is `[1, C, 1, ...]` or `[C, 1, ...]`, for images `[N, C, ...]`. */
function isPerChannel({ shape }: Blob, images: Shape): boolean {
  const channels = [images[1]!, ...images.slice(2).map(() => 1)];
  return images[1] !== 1 && (sameShape(shape, channels) || sameShape(shape, [1, ...channels]));
}

const affine = (x: Blob, scale: Blob, offset: Blob): Blob =>
  emit(channelAffineOp, [x, line(scale), line(offset)], { relu: false });

/** `[C]`. */
const line = (s: Blob): Blob => (s.shape.length === 1 ? s : reshape(s, [-1]));

/** Whether broadcasting a number a channel would be slow. */
const isSlow = ({ shape }: Blob): boolean => sizeOf(shape.slice(2)) <= placesTooFew;

const filled = (value: number, { dtype, shape }: Blob): Blob =>
  emit(constantOp, [], { value, dtype, shape: [sizeOf(shape)] });

/** Whether a blob is an affine map that relu may follow. */
const isOpen = ({ node }: Blob): boolean =>
  node.op === channelAffineOp.name && !(node.attrs as ChannelAffineAttrs).relu;

/** `x s + offset`. */
function offsetOf(product: Blob, offset: Blob): Blob | undefined {
  const { node, shape } = product;
  if (!isPerChannel(offset, shape)) return undefined;
  const [a, b, before] = node.inputs;
  if (node.op === "multiply") {
    const [x, s] = scaleOf(a!, b!);
    return x === undefined ? undefined : affine(x, s!, offset);
  }
  const isScaled = isOpen(product) && node.inputs.length === 3 && constantValue(before!) === 0;
  return isScaled ? affine(a!, b!, offset) : undefined;
}

/** `(scale x + offset) + addend`. */
function addendOf(open: Blob, addend: Blob): Blob | undefined {
  const { node, shape } = open;
  if (!isOpen(open) || node.inputs.length !== 3 || !sameShape(shape, addend.shape)) return undefined;
  return emit(channelAffineOp, [...node.inputs, addend], { relu: false });
}

const reluOf = (open: Blob): Blob | undefined =>
  isOpen(open) ? emit(channelAffineOp, open.node.inputs, { relu: true }) : undefined;

/** Images and their scale a channel, in this order. */
function scaleOf(a: Blob, b: Blob): readonly [Blob, Blob] | readonly [] {
  if (isPerChannel(b, a.shape)) return [a, b];
  return isPerChannel(a, b.shape) ? [b, a] : [];
}

/** Sums of products over all axes but the channels. */
function dotOf({ attrs, outputs }: Node, product: Blob): Blob | undefined {
  const { node, shape } = product;
  const { axes } = attrs as ReduceAttrs;
  const others = shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  const [x, y] = node.inputs as readonly [Blob, Blob];
  if (node.op !== "multiply" || shape.length < 3 || sizeOf(shape.slice(2)) < placesWorthMultiplying) return undefined;
  if (!sameShape(axes, others) || !sameShape(x.shape, shape) || !sameShape(y.shape, shape)) return undefined;
  return reshape(emit(channelDotOp, [x, y], {}), outputs[0]!.shape);
}
