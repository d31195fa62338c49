import { sizeOf } from "../../../core/shape.js";
import { int, ints, type Lowering } from "./context.js";
import { type ConvolutionShapes, fewPlaces, hasFewPlaces } from "./few-places.js";

/** A convolution in ONNX's terms: float32, spatial axes last, pads all begins and then all ends. */
export interface Convolution {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  readonly groups: number;
}

/** The domain of onnxruntime's blocked kernels. */
export const nchwc = "com.microsoft.nchwc";

/** `[N, C, ...]` -> `[N, C / block, ..., block]`, under the old shape; C fills its blocks. Equal ones are made once by onnxruntime. */
export const reorder = (to: Lowering, x: string): string => to.one("ReorderInput", [x], {}, nchwc);

/** Turning the filters round costs about 1 ns each; below this many places they are used for too little. */
const placesWorthIt = 4096;
/**
 * The kernel takes six places of a row at once, but one at a time, 1.7 times as slow, where the window reaches into the padding:
 * 0.012 ns more a tap and filter. Zeros put round the input beforehand cost 0.4 ns a cell. (One core of an EPYC 9004, AVX-512.)
 */
const tapsWorthPadding = 35;

/**
 * `Conv`, or one product where an image has few places, or where channels come in whole blocks, onnxruntime's blocked kernel, which needs no im2col: LeNet's second layer and
 * its input gradient take 0.7 of the time. onnxruntime changes to it on its own only where the filters are constants, which
 * in training they are not.
 */
export function convolution(
  to: Lowering,
  [x, w, ...bias]: readonly string[],
  attrs: Convolution,
  shapes: ConvolutionShapes,
): string {
  if (hasFewPlaces(to, attrs, shapes)) return fewPlaces(to, [x!, w!, ...bias], attrs, shapes);
  const { block } = to;
  const { kernel, strides, dilations, pads, groups } = attrs;
  const { input, filters, output } = shapes;
  const [out, channels] = filters as [number, number];
  const places = output[0]! * sizeOf(output.slice(2));
  const moving = { kernel_shape: ints(kernel), strides: ints(strides), dilations: ints(dilations) };
  if (
    block === undefined ||
    groups !== 1 ||
    kernel.length !== 2 ||
    sizeOf(kernel) === 1 ||
    out % block !== 0 ||
    channels % block !== 0 ||
    places < placesWorthIt
  )
    return to.one("Conv", [x!, w!, ...bias], { ...moving, pads: ints(pads), group: int(groups) });
  // [O, I, h, w] -> [O / block, I / block, h, w, block of I, block of O], under the old shape.
  const split = to.one("Reshape", [w!, to.ints([out / block, block, channels / block, block, ...kernel])]);
  const turned = to.one("Transpose", [split], { perm: ints([0, 2, 4, 5, 3, 1]) });
  const blocked = to.one("Reshape", [turned, to.ints(filters)]);
  const [batch, , height, width] = input as [number, number, number, number];
  const [top, left, bottom, right] = pads as [number, number, number, number];
  const isPadded = (left + right) * sizeOf(kernel) * out >= tapsWorthPadding * width;
  let cells = reorder(to, x!);
  if (isPadded) {
    const rows = to.one("Reshape", [cells, to.ints([(batch * channels * height) / block, width, block])]);
    const padded = to.one("Pad", [rows, to.ints([0, left, 0, 0, right, 0])]);
    cells = to.one("Reshape", [padded, to.ints([batch, channels, height, width + left + right])]);
  }
  const result = to.one(
    "Conv",
    [cells, blocked, ...bias],
    { ...moving, pads: ints(isPadded ? [top, 0, bottom, 0] : pads) },
    nchwc,
  );
  return to.one("ReorderOutput", [result], { channels: int(out) }, nchwc);
}
