import { type Shape, sizeOf } from "../../../core/shape.js";
import { type Convolution, nchwc, reorder } from "./blocked.js";
import { int, ints, type Lowering } from "./context.js";

// What decides, measured on one core of an EPYC 9004 (AVX-512, 1 MB of L2).

/** Bytes of filters, of one block of channels, that stay in the cache while rows of results are made. */
const cached = 1 << 20;
/** Blocks of filters that the kernel takes at once. */
const blocksAtOnce = 4;
/** Places in a row of results: the kernel takes six at once and what is left one at a time. */
const rowWorthIt = 24;
/** Above so many times the work, blocks that the batch does not fill cost more than slices and products. */
const wasteAllowed = 1.3;
/** Places of the cotangent, over the batch, below which the copies and the many small results cost more than the kernel gains. */
const placesWorthIt = 2048;
/** What the copies of a cut add to the work. */
const cutting = 1.1;

/** How the batch's rows are cut: into `pieces` an image, of `rows` rows of the cotangent, that count as `images` images in all. */
interface Cut {
  readonly pieces: number;
  readonly rows: number;
  readonly images: number;
}

/** The cut with the least work that fills blocks of images and keeps a piece of the cotangent in the cache. */
function cutOf(batch: number, height: number, rowBytes: number, block: number, padded: number): Cut | undefined {
  let best: (Cut & { readonly work: number }) | undefined;
  for (let pieces = 1; pieces <= height; pieces++) {
    const rows = Math.ceil(height / pieces);
    const images = Math.ceil((batch * pieces) / block) * block;
    // Uncut, rows that lie in the padding are left out; cut, the rows that two pieces reach are copied.
    const work = (images * (pieces === 1 ? rows - padded : rows * cutting)) / (batch * height);
    if (rows * rowBytes > cached && rows > 1) continue;
    if (work <= wasteAllowed && (best === undefined || work < best.work)) best = { pieces, rows, images, work };
  }
  return best;
}

/**
 * The cotangent of a convolution's filters, as a blocked convolution that swaps the parts: the batch is the channels, `dy` the
 * filters, and a row of results runs over taps and channels, `[tap, channel]`, which a dilation by the number of channels makes
 * one long run: the kernel is fast in long rows. Undefined where it does not fit. LeNet's second layer, one thread: 20 ms, where slices
 * and products take 24.
 */
export function blockedFilterGradient(
  to: Lowering,
  [x, dy]: readonly string[],
  { kernel, strides, dilations, pads, groups }: Convolution,
  { input, output }: { readonly input: Shape; readonly output: Shape },
): string | undefined {
  const { block } = to;
  if (block === undefined || groups !== 1 || kernel.length !== 2 || dilations[1] !== 1) return undefined;
  const [batch, channels, inputHeight, inputWidth] = input as [number, number, number, number];
  const [, filters, height, width] = output as [number, number, number, number];
  const [taps, across] = kernel as [number, number];
  const [top, left, bottom] = pads as [number, number, number];
  // Channels in a few groups, so that there are rows of results for every thread.
  const groupsOfChannels = [4, 2, 1].find((n) => channels % n === 0 && (across * channels) / n >= rowWorthIt);
  if (filters % block !== 0 || sizeOf(kernel) === 1 || groupsOfChannels === undefined) return undefined;
  if (batch * height * width < placesWorthIt) return undefined;
  const outside = (top * (top + 1) + bottom * (bottom + 1)) / 2 / taps;
  const cut = cutOf(batch, height, width * block * block * blocksAtOnce * 4, block, outside);
  if (cut === undefined) return undefined;
  const { pieces, rows, images } = cut;
  const reshape = (value: string, shape: Shape): string => to.one("Reshape", [value, to.ints(shape)]);
  const pad = (value: string, before: readonly number[], after: readonly number[]): string =>
    [...before, ...after].every((n) => n === 0) ? value : to.one("Pad", [value, to.ints([...before, ...after])]);
  /** `[images of pieces, ...]` with images of zeros that fill the last block. */
  const filled = (value: string, size: number): string =>
    pad(reshape(value, [batch * pieces, size]), [0, 0], [images - batch * pieces, 0]);

  // The rows of the input under `rows` rows of the cotangent.
  const [down, right] = strides as [number, number];
  const reach = (rows - 1) * down + (taps - 1) * dilations[0]! + 1;
  const below = (pieces - 1) * rows * down + reach - top - inputHeight;
  // Uncut, the kernel pads rows itself.
  const rowPads = pieces === 1 && below >= 0 ? [top, below] : [0, 0];
  const padded = pad(x!, [0, 0, top - rowPads[0]!, 0], [0, 0, below - rowPads[1]!, 0]);
  const high = pieces === 1 && below >= 0 ? inputHeight : reach;
  const cutAt = (row: number): string =>
    to.one("Slice", [padded, to.ints([row]), to.ints([row + reach]), to.ints([2])]);
  const image =
    pieces === 1
      ? padded
      : to.one(
          "Concat",
          Array.from({ length: pieces }, (_, i) => cutAt(i * rows * down)),
          { axis: int(0) },
        );
  // [images, C, H, W] -> [groups, images / block, H, W, C / groups, block]
  const some = channels / groupsOfChannels;
  const blocks = reorder(
    to,
    reshape(filled(image, channels * high * inputWidth), [1, images, channels * high, inputWidth]),
  );
  const split = reshape(blocks, [images / block, groupsOfChannels, some, high, inputWidth, block]);
  const rowsOfCells = to.one("Transpose", [split], { perm: ints([1, 0, 3, 4, 2, 5]) });
  const wide = (width - 1) * right + across;
  const cells = pad(rowsOfCells, [0, 0, 0, left, 0, 0], [0, 0, 0, wide - left - inputWidth, 0, 0]);

  // [N, O / block, H, W, block] -> [pieces, N, O / block, rows, W, block] -> [O / block, images / block, rows, W, block, block of O]
  const deep = filters / block;
  const area = rows * width;
  const cotangent = pad(
    reshape(reorder(to, dy!), [batch, deep, height, width * block]),
    [0, 0, 0, 0],
    [0, 0, pieces * rows - height, 0],
  );
  const cutFirst =
    pieces === 1
      ? cotangent
      : to.one("Transpose", [reshape(cotangent, [batch, deep, pieces, area * block])], { perm: ints([2, 0, 1, 3]) });
  const inBlocks = reshape(filled(cutFirst, filters * area), [images / block, block, deep, area, block]);
  const turned = to.one("Transpose", [inBlocks], { perm: ints([2, 0, 3, 1, 4]) });

  const result = to.one(
    "Conv",
    [reshape(cells, [groupsOfChannels, images, high, wide * some]), reshape(turned, [filters, images, rows, width])],
    {
      kernel_shape: ints([rows, width]),
      strides: ints([dilations[0]!, 1]),
      dilations: ints([down, right * some]),
      pads: ints([rowPads[0]!, 0, rowPads[1]!, 0]),
    },
    nchwc,
  );
  // [groups, O, h, (w, C / groups)] -> [O, C, h, w]
  const plain = to.one("ReorderOutput", [result], { channels: int(filters) }, nchwc);
  const parts = reshape(plain, [groupsOfChannels, filters, sizeOf(kernel), some]);
  return reshape(to.one("Transpose", [parts], { perm: ints([1, 0, 3, 2]) }), [filters, channels, ...kernel]);
}

/** Cells under the taps of a place, for each filter, up to which copying them costs less than turning images and cotangent round. */
const cellsWorthCopying = 4;

/**
 * The cotangent of a convolution's filters as one product an image, added up: neither part is turned round. Undefined unless there is
 * one tap, or few cells for the filters. LeNet's first layer, one thread: 3.7 ms, where slices with the batch innermost
 * take 5.3, half of it for turning `dy`; 256 to 64 channels of 56 x 56 places, batch 8, two threads: 3.8 and 10.9.
 */
export function imagewiseFilterGradient(
  to: Lowering,
  [x, dy]: readonly string[],
  { kernel, strides, dilations, pads, groups }: Convolution,
  { input, output }: { readonly input: Shape; readonly output: Shape },
): string | undefined {
  const n = kernel.length;
  const [batch, channels] = input as [number, number];
  const filters = output[1]!;
  const sizes = output.slice(2);
  const taps = sizeOf(kernel);
  const cells = channels * taps;
  if (groups !== 1 || (taps > 1 && cells > cellsWorthCopying * filters)) return undefined;
  const edge = [0, 0, ...pads.slice(0, n), 0, 0, ...pads.slice(n)];
  const slice = (value: string, axis: number, from: number, length: number, stride: number): string => {
    const bounds = [[from], [from + (length - 1) * stride + 1], [axis + 2], [stride]];
    return to.one("Slice", [value, ...bounds.map((bound) => to.ints(bound))]);
  };
  // Axis by axis: [N, C, ...] -> [N, taps C, ...], the first axis' taps outermost in the end.
  let columns = pads.every((pad) => pad === 0) ? x! : to.one("Pad", [x!, to.ints(edge)]);
  for (let axis = n - 1; axis >= 0; axis--) {
    const stride = strides[axis]!;
    if (kernel[axis] === 1 && stride === 1) continue;
    // Steps along rows are taken once for all taps, which then copy runs: 10 ms instead of 21 for seven taps of 59 MB.
    const apart = axis === n - 1 && kernel[axis]! > stride && dilations[axis] === 1 ? stride : 1;
    const wide = input[axis + 2]! + pads[axis]! + pads[n + axis]!;
    const phases =
      apart === 1
        ? [columns]
        : Array.from({ length: apart }, (_, i) => slice(columns, axis, i, Math.ceil((wide - i) / apart), apart));
    const parts = Array.from({ length: kernel[axis]! }, (_, tap) => {
      const from = Math.floor((tap * dilations[axis]!) / apart);
      return slice(phases[tap % apart]!, axis, from, sizes[axis]!, stride / apart);
    });
    columns = parts.length === 1 ? parts[0]! : to.one("Concat", parts, { axis: int(1) });
  }
  const reshape = (value: string, shape: Shape): string => to.one("Reshape", [value, to.ints(shape)]);
  const transpose = (value: string, ...perm: number[]): string => to.one("Transpose", [value], { perm: ints(perm) });
  const of = (value: string, rows: number): string => reshape(value, [batch, rows, sizeOf(sizes)]);
  /** `a b^T` of each image. */
  const products = (a: string, b: string): string =>
    to.portable
      ? to.one("MatMul", [a, transpose(b, 0, 2, 1)])
      : to.one("FusedMatMul", [a, b], { transA: int(0), transB: int(1) }, "com.microsoft");
  const added = (value: string): string => to.one("ReduceSum", [value, to.ints([0])], { keepdims: int(0) });
  // The kernel is fast where it has more rows than columns.
  const sum =
    cells > filters
      ? transpose(added(products(of(columns, cells), of(dy!, filters))), 1, 0)
      : added(products(of(dy!, filters), of(columns, cells)));
  const parts = taps === 1 ? sum : transpose(reshape(sum, [filters, taps, channels]), 0, 2, 1);
  return reshape(parts, [filters, channels, ...kernel]);
}
