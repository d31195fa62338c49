// Convolutions with few places an image: the whole batch is one product, `[filters, cells] x [cells, images and places]`.
import { type Shape, sizeOf } from "../../../core/shape.js";
import type { Convolution } from "./blocked.js";
import { int, ints, type Lowering } from "./context.js";

export interface ConvolutionShapes {
  readonly input: Shape;
  readonly filters: Shape;
  readonly output: Shape;
}

/** Places of an image up to which its own product is too narrow for the kernel, which takes 16 or 32 columns at once. */
const narrow = 64;
/** Places of the batch up to which the copies of the cells are small beside the filters. */
const worthCopying = 1024;

/** Channels on both sides from which the product is worth its copies. */
const manyChannels = 16;

/** Whether a convolution is faster as one product. */
export function hasFewPlaces(
  to: Lowering,
  { groups, kernel }: Convolution,
  { filters, output }: ConvolutionShapes,
): boolean {
  const places = sizeOf(output.slice(2));
  return (
    !to.portable &&
    groups === 1 &&
    kernel.length > 0 &&
    places <= (sizeOf(kernel) === 1 ? narrow - 1 : narrow) &&
    places * output[0]! <= worthCopying &&
    Math.min(filters[0]!, filters[1]!) >= manyChannels
  );
}

/** The convolution, with a bias a filter if there is one. */
export function fewPlaces(
  to: Lowering,
  [x, w, bias]: readonly string[],
  convolution: Convolution,
  shapes: ConvolutionShapes,
): string {
  const [filters] = shapes.filters as [number];
  const column = bias === undefined ? [] : [to.one("Reshape", [bias, to.ints([filters, 1])])];
  const cells = cellsOf(to, x!, convolution, shapes);
  const product = to.one("Gemm", [flat(to, w!, filters), cells, ...column], { transA: int(0), transB: int(0) });
  const [batch, , ...sizes] = shapes.output as [number, number, ...number[]];
  return swapped(to, to.one("Reshape", [product, to.ints([filters, batch, ...sizes])]), sizes.length + 2);
}

/** The cotangent of the input. */
export function fewPlacesInputGradient(
  to: Lowering,
  [dy, w]: readonly string[],
  { strides, dilations, pads, kernel }: Convolution,
  { filters, input, output }: ConvolutionShapes,
): string {
  const [out, channels] = filters as [number, number];
  const [batch, , ...sizes] = output as [number, number, ...number[]];
  const rows = flat(to, swapped(to, dy!, output.length), out);
  const cells = to.one("Gemm", [flat(to, w!, out), rows], { transA: int(1), transB: int(0) });
  const apart = to.one("Reshape", [cells, to.ints([channels * sizeOf(kernel), batch, sizeOf(sizes)])]);
  const image = swapped(to, apart, 3);
  if (sizeOf(kernel) === 1 && sizeOf(sizes) === sizeOf(input.slice(2)))
    return to.one("Reshape", [image, to.ints(input)]);
  return to.one("Col2Im", [image, to.ints(input.slice(2)), to.ints(kernel)], {
    strides: ints(strides),
    dilations: ints(dilations),
    pads: ints(pads),
  });
}

/** The cotangent of the filters. */
export function fewPlacesFilterGradient(
  to: Lowering,
  [x, dy]: readonly string[],
  convolution: Convolution,
  shapes: ConvolutionShapes,
): string {
  const rows = flat(to, swapped(to, dy!, shapes.output.length), shapes.filters[0]!);
  const product = to.one("Gemm", [rows, cellsOf(to, x!, convolution, shapes)], { transA: int(0), transB: int(1) });
  return to.one("Reshape", [product, to.ints(shapes.filters)]);
}

/** `[size, what is left]`. */
const flat = (to: Lowering, x: string, size: number): string => to.one("Reshape", [x, to.ints([size, -1])]);

/** The first two axes swapped. The gradients have need of what the convolution and each other have swapped: it is done once. */
const swapped = (to: Lowering, x: string, rank: number): string =>
  to.one("Transpose", [x], { perm: ints([1, 0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2)]) });

/** The cells under each tap, `[channels taps, batch places]`; the convolution's are also its filter gradient's. */
function cellsOf(
  to: Lowering,
  x: string,
  { kernel, strides, dilations, pads }: Convolution,
  { input, output }: ConvolutionShapes,
): string {
  const n = kernel.length;
  const [batch, channels, ...sizes] = input as [number, number, ...number[]];
  const image = swapped(to, x, n + 2);
  const edge = [0, 0, ...pads.slice(0, n), 0, 0, ...pads.slice(n)];
  const padded = pads.every((pad) => pad === 0) ? image : to.one("Pad", [image, to.ints(edge)]);
  const wide = sizes.map((size, i) => size + pads[i]! + pads[n + i]!);
  // Axis by axis: [channels, taps, batch, ...], the first axis' taps outermost in the end.
  let cells = sizeOf(kernel) === 1 ? padded : to.one("Reshape", [padded, to.ints([channels, 1, batch, ...wide])]);
  const first = sizeOf(kernel) === 1 ? 2 : 3;
  for (let axis = n - 1; axis >= 0; axis--) {
    if (kernel[axis] === 1 && strides[axis] === 1) continue;
    const taps = Array.from({ length: kernel[axis]! }, (_, tap) => {
      const from = tap * dilations[axis]!;
      const past = from + (output[axis + 2]! - 1) * strides[axis]! + 1;
      const bounds = [[from], [past], [axis + first], [strides[axis]!]].map((value) => to.ints(value));
      return to.one("Slice", [cells, ...bounds]);
    });
    cells = taps.length === 1 ? taps[0]! : to.one("Concat", taps, { axis: int(1) });
  }
  return flat(to, cells, channels * sizeOf(kernel));
}
