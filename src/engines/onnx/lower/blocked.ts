import { type Shape, sizeOf } from "../../../core/shape.js";
import { int, ints, type Lowering } from "./context.js";

/** A convolution in ONNX's terms: float32, spatial axes last, pads all begins and then all ends. */
export interface Convolution {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  readonly groups: number;
}

const nchwc = "com.microsoft.nchwc";

// Turning the filters round costs about 1 ns each; below this many places they are used for too little.
const placesWorthIt = 4096;

/**
 * `Conv`, or where channels come in whole blocks, onnxruntime's blocked kernel, which needs no im2col: LeNet's second layer and
 * its input gradient take 0.7 of the time. onnxruntime changes to it on its own only where the filters are constants, which
 * in training they are not.
 */
export function convolution(
  to: Lowering,
  [x, w, ...bias]: readonly string[],
  { kernel, strides, dilations, pads, groups }: Convolution,
  { filters, output }: { readonly filters: Shape; readonly output: Shape },
): string {
  const attributes = {
    kernel_shape: ints(kernel),
    strides: ints(strides),
    dilations: ints(dilations),
    pads: ints(pads),
  };
  const { block } = to;
  const [out, channels] = filters as [number, number];
  const places = output[0]! * sizeOf(output.slice(2));
  if (
    block === undefined ||
    groups !== 1 ||
    kernel.length !== 2 ||
    out % block !== 0 ||
    channels % block !== 0 ||
    places < placesWorthIt
  )
    return to.one("Conv", [x!, w!, ...bias], { ...attributes, group: int(groups) });
  // [O, I, h, w] -> [O / block, I / block, h, w, block of I, block of O], under the old shape.
  const split = to.one("Reshape", [w!, to.ints([out / block, block, channels / block, block, ...kernel])]);
  const turned = to.one("Transpose", [split], { perm: ints([0, 2, 4, 5, 3, 1]) });
  const blocked = to.one("Reshape", [turned, to.ints(filters)]);
  const input = to.one("ReorderInput", [x!], {}, nchwc);
  const result = to.one("Conv", [input, blocked, ...bias], attributes, nchwc);
  return to.one("ReorderOutput", [result], { channels: int(out) }, nchwc);
}
