import { type Shape, sizeOf } from "../../../core/shape.js";
import { int, ints, type Lowering } from "./context.js";
import { type ConvolutionShapes, fewPlaces, hasFewPlaces } from "./few-places.js";
import { convolutionInTiles, isFasterInTiles } from "./winograd.js";

/** A convolution in ONNX's terms: float32, spatial axes last, pads all begins and then all ends. */
export interface Convolution {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  readonly groups: number;
}

export interface Exactness {
  /** Equal cells give equal results, and zeros zero: no tiles. */
  readonly direct?: boolean;
}

/** The domain of onnxruntime's blocked kernels. */
export const nchwc = "com.microsoft.nchwc";

/** `[N, C, ...]` -> `[N, C / block, ..., block]`, under the old shape; C fills its blocks. Equal ones are made once. */
export const reorder = (to: Lowering, x: string): string => to.one("ReorderInput", [x], {}, nchwc);

/** Bringing the filters into blocks costs 1.5 ns each and the kernel gains 0.004 ns a place; below this many places they are used for too little. */
const placesWorthIt = 1024;
/**
 * The kernel takes six places of a row at once, but one at a time, 1.7 times as slow, where the window reaches into the padding:
 * 0.012 ns more a tap and filter. Zeros put round the input beforehand cost 0.4 ns a cell. (One core of an EPYC 9004, AVX-512.)
 */
const tapsWorthPadding = 35;
/** Cells of padding a row up to which that was not seen: 3 x 3 taps of 14, 28 and 56 places take the same time. */
const littlePadding = 2;

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
  { direct = false }: Exactness = {},
): string {
  if (hasFewPlaces(to, attrs, shapes)) return fewPlaces(to, [x!, w!, ...bias], attrs, shapes);
  const blocked = blockedConvolution(to, [x!, w!, ...bias], attrs, shapes, { blocksOf: inBlocks, direct });
  if (blocked !== undefined) return blocked;
  return to.one("Conv", [x!, w!, ...bias], {
    ...movingOf(attrs),
    pads: ints(attrs.pads),
    group: int(attrs.groups),
  });
}

/** As `convolution`, with the filters turned round and inputs and outputs swapped; `shapes` are those of the swapped filters. */
export function turnedConvolution(
  to: Lowering,
  [x, w]: readonly string[],
  attrs: Convolution,
  shapes: ConvolutionShapes,
  { direct = false }: Exactness = {},
): string {
  return (
    blockedConvolution(to, [x!, w!], attrs, shapes, { blocksOf: inBlocksTurned, direct }) ??
    convolution(to, [x!, turnedRound(to, w!, shapes.filters)], attrs, shapes, { direct })
  );
}

const movingOf = ({ kernel, strides, dilations }: Convolution) => ({
  kernel_shape: ints(kernel),
  strides: ints(strides),
  dilations: ints(dilations),
});

/** Filters `[I, O, ...]` turned round, as `[O, I, ...]`, which `shape` is. */
function turnedRound(to: Lowering, w: string, shape: Shape): string {
  const axes = shape.flatMap((size, axis) => (axis > 1 && size > 1 ? [axis] : []));
  const each = (value: number): string => to.ints(axes.map(() => value));
  const reversed =
    axes.length === 0 ? w : to.one("Slice", [w, each(-1), each(Number.MIN_SAFE_INTEGER), to.ints(axes), each(-1)]);
  return to.one("Transpose", [reversed], { perm: ints([1, 0, ...shape.slice(2).map((_, i) => i + 2)]) });
}

type InBlocks = (to: Lowering, w: string, shape: Shape, block: number) => string;

// Whole runs of a block move last: 256 filters of 256 channels, 3 x 3, take 0.9 ms this way, 2.1 in one Transpose.

/** `[O, I, h, w] -> [O / block, I / block, h, w, block of I, block of O]`, under the old shape. */
const inBlocks: InBlocks = (to, w, shape, block) => {
  const [out, channels, ...kernel] = shape as [number, number, ...number[]];
  const rows = to.one("Reshape", [w, to.ints([out, -1])]);
  const turned = to.one("Transpose", [rows], { perm: ints([1, 0]) });
  const parts = [channels / block, block, sizeOf(kernel), out / block, block];
  const runs = to.one("Reshape", [turned, to.ints(parts)]);
  return to.one("Reshape", [to.one("Transpose", [runs], { perm: ints([3, 0, 2, 1, 4]) }), to.ints(shape)]);
};

/** The same of filters `[I, O, h, w]` turned round. */
const inBlocksTurned: InBlocks = (to, w, shape, block) => {
  const [out, channels, ...kernel] = shape as [number, number, ...number[]];
  const taps = sizeOf(kernel);
  const rows = to.one("Reshape", [w, to.ints([channels, out, taps])]);
  const turned = to.one("Transpose", [rows], { perm: ints([0, 2, 1]) });
  const backwards = to.ints(Array.from({ length: taps }, (_, tap) => taps - 1 - tap));
  const reversed = to.one("Gather", [turned, backwards], { axis: int(1) });
  const runs = to.one("Reshape", [reversed, to.ints([channels / block, block, taps, out / block, block])]);
  return to.one("Reshape", [to.one("Transpose", [runs], { perm: ints([3, 0, 2, 1, 4]) }), to.ints(shape)]);
};

/** The convolution by onnxruntime's blocked kernel, or undefined where that is not to be had or no faster. */
function blockedConvolution(
  to: Lowering,
  [x, w, ...bias]: readonly string[],
  attrs: Convolution,
  shapes: ConvolutionShapes,
  { blocksOf, direct = false }: Exactness & { readonly blocksOf: InBlocks },
): string | undefined {
  const { block } = to;
  const { kernel, pads, groups } = attrs;
  const { input, filters, output } = shapes;
  const [out, channels] = filters as [number, number];
  const places = output[0]! * sizeOf(output.slice(2));
  if (
    hasFewPlaces(to, attrs, shapes) ||
    block === undefined ||
    groups !== 1 ||
    kernel.length !== 2 ||
    sizeOf(kernel) === 1 ||
    out % block !== 0 ||
    channels % block !== 0
  )
    return undefined;
  const manyPlaces = places >= placesWorthIt;
  const inTiles = !direct && isFasterInTiles(attrs, shapes, { manyPlaces });
  if (!inTiles && !manyPlaces) return undefined;
  const taps = blocksOf(to, w!, filters, block);
  if (inTiles) return convolutionInTiles(to, [x!, taps, ...bias], attrs, shapes);
  const [batch, , height, width] = input as [number, number, number, number];
  const [top, left, bottom, right] = pads as [number, number, number, number];
  const isPadded = left + right > littlePadding && (left + right) * sizeOf(kernel) * out >= tapsWorthPadding * width;
  let cells = reorder(to, x!);
  if (isPadded) {
    const rows = to.one("Reshape", [cells, to.ints([(batch * channels * height) / block, width, block])]);
    const padded = to.one("Pad", [rows, to.ints([0, left, 0, 0, right, 0])]);
    cells = to.one("Reshape", [padded, to.ints([batch, channels, height, width + left + right])]);
  }
  const result = to.one(
    "Conv",
    [cells, taps, ...bias],
    { ...movingOf(attrs), pads: ints(isPadded ? [top, 0, bottom, 0] : pads) },
    nchwc,
  );
  return to.one("ReorderOutput", [result], { channels: int(out) }, nchwc);
}
