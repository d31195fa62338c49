import { type Shape, sizeOf } from "../../../core/shape.js";
import { type Convolution, nchwc, reorder } from "./blocked.js";
import { int, ints, type Lowering } from "./context.js";
import type { ConvolutionShapes } from "./few-places.js";

/** Rows of results that a tile gives. */
const rows = 4;
/** Where polynomials are evaluated, besides infinity, by rows of the kernel: of the usual ones those with the smallest error. */
const pointsFor: Readonly<Record<number, readonly number[]>> = {
  3: [0, 1, -1, 0.5, -2],
  5: [0, 1, -1, 2, -2, 0.5, -0.5],
};

// What decides, in nanoseconds on two cores of an EPYC 9004 (AVX-512): a multiplication of the blocked kernel, of the same in single
// rows, of onnxruntime's Conv, of the products that transform cells and results; a transformed cell; a tap brought into blocks.
const blocked = 1 / 120;
const inRows = 1 / 105;
const plain = 1 / 85;
const fromCells = 1 / 70;
const toResults = 1 / 50;
const moving = 0.12;
const copying = 0.6;
const turning = 3;

/** Tiles whose results are transformed together: one where all are whole. */
const tilesTogether = (height: number): number => (height % rows === 0 ? 1 : Math.ceil(height / rows));

/** Whether a convolution is faster in tiles than by the blocked kernel, or by onnxruntime's `Conv` where there are few places. */
export function isFasterInTiles(
  { kernel, strides, dilations }: Convolution,
  { input, filters, output }: ConvolutionShapes,
  { manyPlaces }: { readonly manyPlaces: boolean },
): boolean {
  const [down, across] = kernel as [number, number];
  const points = (pointsFor[down]?.length ?? Infinity) + 1;
  if (points === Infinity || strides.some((stride) => stride !== 1) || dilations[0] !== 1) return false;
  const [out, channels] = filters as [number, number];
  const [batch, , height, width] = output as [number, number, number, number];
  const tiles = Math.ceil(height / rows);
  const products = batch * out * channels * across * width;
  const cells = batch * channels * input[3]!;
  const results = batch * out * width;
  const ours =
    products * tiles * points * inRows +
    cells * tiles * points * (input[2]! * fromCells + moving) +
    results * (height * tilesTogether(height) * toResults + tiles * moving) * points;
  const theirs = products * height * down * (manyPlaces ? blocked : plain);
  return ours + (manyPlaces ? 0 : sizeOf(filters) * turning) < theirs;
}

/** Whether the cotangent of the filters is. What it copies more of is the cells and results that are transformed. */
export function isFilterGradientFasterInTiles(
  to: Lowering,
  { kernel, strides, dilations, groups }: Convolution,
  { input, filters, output }: ConvolutionShapes,
): boolean {
  const { block } = to;
  const [out, channels] = filters as [number, number];
  const points = (pointsFor[kernel[0]!]?.length ?? Infinity) + 1;
  if (block === undefined || groups !== 1 || kernel.length !== 2 || points === Infinity) return false;
  if (out % block !== 0 || channels % block !== 0 || [...strides, ...dilations].some((n) => n !== 1)) return false;
  const [batch, , height, width] = output as [number, number, number, number];
  const tiles = Math.ceil(height / rows);
  const images = Math.ceil((batch * tiles) / block) * block;
  const products = out * channels * kernel[1]! * width;
  const cells = channels * input[3]! * points;
  const results = out * width * points;
  const ours =
    images * products * points * inRows +
    batch * tiles * cells * (input[2]! * fromCells + copying) +
    batch * tiles * results * (height * toResults + copying);
  return ours < batch * products * height * kernel[0]! * blocked;
}

/**
 * A convolution by Winograd's algorithm along one axis (Lavin and Gray 2015, arXiv:1509.09308): four rows of results take the products of
 * six rows of cells with three rows of taps, or eight with five, in place of 12 and 20. The rows of cells and of taps are the
 * coefficients of polynomials, of which values at a few points are multiplied: `A^T ((G w) * (B^T x))`, each a product with a
 * small constant matrix, and between them a blocked convolution of single rows, one group a point. Errors are twice those of the direct
 * sum; a cell that is not finite makes its whole tile NaN. The filters come in blocks.
 */
export function convolutionInTiles(
  to: Lowering,
  [x, w, bias]: readonly string[],
  { kernel, dilations, pads }: Convolution,
  shapes: ConvolutionShapes,
): string {
  const block = to.block!;
  const sizes = sizesOf(kernel, pads, shapes);
  const { batch, channels, inputHeight, inputWidth, out, height, width, down, across, top, left, points, tiles } =
    sizes;
  const { a, g, b } = sizes.matrices;
  const right = pads[3]!;

  const cells = to.one("MatMul", [
    matrix(to, fromInput(b, { tiles, height: inputHeight, top })),
    linesOf(to, x!, shapes.input),
  ]);

  // [O / block, C / block, h, w, block of C, block of O] -> a point in place of each row, outermost
  const apart = to.reshape(w!, [(out / block) * (channels / block), down, across * block * block]);
  const turned = to.one("Transpose", [apart], { perm: ints([1, 0, 2]) });
  const taps = to.one("MatMul", [matrix(to, g), to.reshape(turned, [down, out * channels * across])]);

  // The results at the point 1 are added to every row.
  const unbiased = (n: number): string =>
    to.tensor({ dtype: "float32", shape: [n * out], data: new Float32Array(n * out) });
  const biases =
    bias === undefined ? [] : [to.one("Concat", [unbiased(1), bias, unbiased(points - 2)], { axis: int(0) })];
  const products = to.one(
    "Conv",
    [
      to.reshape(cells, [batch * tiles, points * channels, 1, inputWidth]),
      to.reshape(taps, [points * out, channels, 1, across]),
      ...biases,
    ],
    {
      kernel_shape: ints([1, across]),
      strides: ints([1, 1]),
      dilations: ints([1, dilations[1]!]),
      pads: ints([0, left, 0, right]),
      group: int(points),
    },
    nchwc,
  );
  const together = tilesTogether(height);
  const toRows = toOutput(a, { tiles: together, height: together === 1 ? rows : height });
  const results = to.one("MatMul", [matrix(to, toRows), to.reshape(products, [-1, together * points, out * width])]);
  const lines = to.reshape(results, [batch, height, out / block, width * block]);
  const image = to.reshape(to.one("Transpose", [lines], { perm: ints([0, 2, 1, 3]) }), shapes.output);
  return to.one("ReorderOutput", [image], { channels: int(out) }, nchwc);
}

/**
 * The cotangent of the filters in tiles: `G^T ((A dy) * (B^T x))`, summed over images, tiles and columns. The sum is a blocked convolution
 * like that of `filter-gradient.ts`: images and tiles are the channels, the cotangent the filters, one group a point, and its one row of
 * results runs over taps and channels.
 */
export function filterGradientInTiles(
  to: Lowering,
  [x, dy]: readonly string[],
  { kernel, pads }: Convolution,
  shapes: ConvolutionShapes,
): string {
  const block = to.block!;
  const sizes = sizesOf(kernel, pads, shapes);
  const { batch, channels, inputHeight, inputWidth, out, height, width, down, across, top, left, points, tiles } =
    sizes;
  const { a, g, b } = sizes.matrices;
  const images = Math.ceil((batch * tiles) / block) * block;
  /** `[batch * tiles, ...]` with images of zeros that fill the last block. */
  const filled = (value: string, size: number): string => {
    const flat = to.reshape(value, [batch * tiles, size]);
    const more = images - batch * tiles;
    return more === 0 ? flat : to.one("Pad", [flat, to.ints([0, 0, more, 0])]);
  };

  // [images, points, C / block, W, block of C] -> [points, images / block, W, C, block of images]
  const cells = to.one("MatMul", [
    matrix(to, fromInput(b, { tiles, height: inputHeight, top })),
    linesOf(to, x!, shapes.input),
  ]);
  const size = points * channels * inputWidth;
  const inner = reorder(to, to.reshape(filled(cells, size), [1, images, points * channels, inputWidth]));
  const split = to.reshape(inner, [images / block, points, channels / block, inputWidth, block * block]);
  const turned = to.one("Transpose", [split], { perm: ints([1, 0, 3, 2, 4]) });
  const right = width - 1 + across - left - inputWidth;
  const wide = to.one("Pad", [
    to.reshape(turned, [(points * images) / block, inputWidth, channels * block]),
    to.ints([0, left, 0, 0, right, 0]),
  ]);

  // [images / block, block of images, points, O / block, W, block of O] -> [points, O / block, images / block, W, block of images, block of O]
  const values = to.one("MatMul", [
    matrix(to, transposed(toOutput(a, { tiles, height }))),
    linesOf(to, dy!, shapes.output),
  ]);
  const parts = to.reshape(filled(values, points * out * width), [
    images / block,
    block,
    points * (out / block),
    width,
    block,
  ]);
  const taps = to.one("Transpose", [parts], { perm: ints([2, 0, 3, 1, 4]) });

  const sums = to.one(
    "Conv",
    [
      to.reshape(wide, [1, points * images, 1, (left + inputWidth + right) * channels]),
      to.reshape(taps, [points * out, images, 1, width]),
    ],
    {
      kernel_shape: ints([1, width]),
      strides: ints([1, 1]),
      dilations: ints([1, channels]),
      pads: ints([0, 0, 0, 0]),
      group: int(points),
    },
    nchwc,
  );
  // [points, O, w, C] -> [h, O, w, C] -> [O, C, h, w]
  const plain = to.one("ReorderOutput", [sums], { channels: int(points * out) }, nchwc);
  const back = to.one("MatMul", [matrix(to, transposed(g)), to.reshape(plain, [points, out * across * channels])]);
  return to.one("Transpose", [to.reshape(back, [down, out, across, channels])], { perm: ints([1, 3, 0, 2]) });
}

/** The sizes of a convolution and of its tiles, with the matrices of its kernel's height. */
function sizesOf(kernel: readonly number[], pads: readonly number[], { input, filters, output }: ConvolutionShapes) {
  const [batch, channels, inputHeight, inputWidth] = input as [number, number, number, number];
  const [height, width] = output.slice(2) as [number, number];
  const [down, across] = kernel as [number, number];
  const [top, left] = pads as [number, number];
  const all = matrices(down);
  const tiles = Math.ceil(height / rows);
  const out = filters[0]!;
  const points = all.g.length;
  return {
    batch,
    channels,
    inputHeight,
    inputWidth,
    out,
    height,
    width,
    down,
    across,
    top,
    left,
    points,
    tiles,
    matrices: all,
  };
}

type Matrix = readonly (readonly number[])[];

const matrix = (to: Lowering, lines: Matrix): string =>
  to.tensor({ dtype: "float32", shape: [lines.length, lines[0]!.length], data: Float32Array.from(lines.flat()) });

const transposed = (lines: Matrix): Matrix => lines[0]!.map((_, i) => lines.map((line) => line[i]!));

/** `[N, C, H, W]` -> `[N, H, C / block, W, block]`, as lines. */
function linesOf(to: Lowering, x: string, [batch, channels, height, width]: Shape): string {
  const { block } = to;
  const apart = [batch!, channels! / block!, height!, width! * block!];
  const blocks = to.one("Reshape", [reorder(to, x), to.ints(apart)]);
  const turned = to.one("Transpose", [blocks], { perm: ints([0, 2, 1, 3]) });
  return to.one("Reshape", [turned, to.ints([batch!, height!, channels! * width!])]);
}

/** `B^T` for all tiles, `[tiles * points, rows of the input]`: rows in the padding count as zeros. */
const fromInput = (b: Matrix, { tiles, height, top }: { tiles: number; height: number; top: number }): Matrix =>
  Array.from({ length: tiles * b.length }, (_, i) =>
    Array.from({ length: height }, (_, row) => b[i % b.length]![row - Math.floor(i / b.length) * rows + top] ?? 0),
  );

/** `A^T` for all tiles, `[rows of the output, tiles * points]`. */
function toOutput(a: Matrix, { tiles, height }: { tiles: number; height: number }): Matrix {
  const points = a[0]!.length;
  return Array.from({ length: height }, (_, row) =>
    Array.from({ length: tiles * points }, (_, i) =>
      Math.floor(i / points) === Math.floor(row / rows) ? a[row % rows]![i % points]! : 0,
    ),
  );
}

/** `A^T`, `G` and `B^T` for `rows` results of `taps` taps: values at points, and coefficients of the polynomials through them. */
function matrices(taps: number): Readonly<Record<"a" | "g" | "b", Matrix>> {
  const points = pointsFor[taps]!;
  const powers = (count: number): number[][] => [
    ...points.map((point) => Array.from({ length: count }, (_, i) => point ** i)),
    Array.from({ length: count }, (_, i) => Number(i === count - 1)), // at infinity: the last coefficient
  ];
  /** Coefficients of the product of `x - root`, lowest first. */
  const through = (roots: readonly number[]): number[] => {
    let product = [1];
    for (const root of roots)
      product = Array.from({ length: product.length + 1 }, (_, i) => (product[i - 1] ?? 0) - root * (product[i] ?? 0));
    return product;
  };
  const b = points.map((point, i) => {
    const others = points.filter((_, j) => j !== i);
    const scale = others.reduce((product, other) => product * (point - other), 1);
    return [...through(others).map((c) => c / scale), 0];
  });
  b.push(through(points));
  // Powers of two go from B to G, so that neither has large entries.
  const scales = b.map((row) => 2 ** Math.round(Math.log2(Math.max(...row.map(Math.abs)))));
  const values = powers(rows);
  return {
    a: Array.from({ length: rows }, (_, i) => values.map((row) => row[i]!)),
    g: powers(taps).map((row, i) => row.map((value) => value * scales[i]!)),
    b: b.map((row, i) => row.map((value) => value / scales[i]!)),
  };
}
