import { checkOptions, FlowError, plainText } from "../core/errors.js";
import { type Shape, sameShape, sizeOf } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { emit, textOf } from "../graph/trace.js";
import { decomposable, type Named, requireFloat } from "./define.js";
import { matmul } from "./linalg.js";
import { reshape, transpose } from "./structure.js";
import {
  channelsFirst,
  channelsLast,
  fittingOutputs,
  fold,
  type Padding,
  perAxis,
  resolvePadding,
  unfold,
  type Window,
  windowOf,
  windowOutputs,
} from "./window.js";

// Convolution is a bilinear map of input and filters; its two gradients are the maps to the third of the three, and each
// one's gradients are the other two. All three work on [N, C, ...] with filters [O, C / groups, ...].

export type ConvAttrs = Window & { readonly groups: number };
export type ConvInputGradAttrs = ConvAttrs & { readonly sizes: Shape };

/** Cross-correlation of `[N, C, ...sizes]` with `[O, C / groups, ...kernel]`. */
export const convOp = decomposable("conv", {
  infer: ([x, w], attrs: ConvAttrs): BlobType => ({
    dtype: x!.dtype,
    shape: [x!.shape[0]!, w!.shape[0]!, ...windowOutputs(x!.shape.slice(2), attrs)],
  }),
  grad: ({ inputs: [x, w], dy, attrs }) => [
    convInputGrad(dy, w!, { ...attrs, sizes: x!.shape.slice(2) }),
    convFilterGrad(x!, dy, attrs),
  ],
  decompose: ([x, w], attrs) => {
    const columns = columnsOf(x!, attrs);
    const outputs = windowOutputs(x!.shape.slice(2), attrs);
    return [fromGroups(matmul(rowsOf(w!, attrs), columns), x!.shape[0]!, outputs)];
  },
});

/** The cotangent of a convolution's input: a transposed convolution of `dy` to spatial `sizes`. */
export const convInputGradOp = decomposable("convInputGrad", {
  infer: ([dy, w], { sizes, groups }: ConvInputGradAttrs): BlobType => ({
    dtype: dy!.dtype,
    shape: [dy!.shape[0]!, w!.shape[1]! * groups, ...sizes],
  }),
  grad: ({ inputs: [dy, w], dy: cotangent, attrs: { sizes: _, ...attrs } }) => [
    conv(cotangent, w!, attrs),
    convFilterGrad(cotangent, dy!, attrs),
  ],
  decompose: ([dy, w], attrs) => {
    const { groups, sizes, kernel } = attrs;
    const [batch, , ...outputs] = dy!.shape;
    const channels = w!.shape[1]!;
    const columns = matmul(rowsOf(w!, attrs), toGroups(dy!, groups), { transposeA: true });
    // [G, K C', N L] -> [K, G, C', N, ...L] -> [G, C', N, ...sizes] -> [N, G C', ...sizes]
    const split = reshape(columns, [groups, sizeOf(kernel), channels, batch!, ...outputs]);
    const folded = fold(groups === 1 ? ungrouped(split) : swapFirst(split), windowOf(attrs), sizes);
    return [batchFirst(reshape(folded, [groups * channels, batch!, ...sizes]))];
  },
});

/** The cotangent of a convolution's filters. */
export const convFilterGradOp = decomposable("convFilterGrad", {
  infer: ([x, dy], { groups, kernel }: ConvAttrs): BlobType => ({
    dtype: x!.dtype,
    shape: [dy!.shape[1]!, x!.shape[1]! / groups, ...kernel],
  }),
  grad: ({ inputs: [x, dy], dy: cotangent, attrs }) => [
    convInputGrad(dy!, cotangent, { ...attrs, sizes: x!.shape.slice(2) }),
    conv(x!, cotangent, attrs),
  ],
  decompose: ([x, dy], attrs) => {
    const { groups, kernel } = attrs;
    // One product over batch and places together: [G, O', N L] [G, K C', N L]ᵀ.
    const rows = matmul(toGroups(dy!, groups), columnsOf(x!, attrs), { transposeB: true });
    const [filters, channels] = [dy!.shape[1]!, x!.shape[1]! / groups];
    const split = reshape(rows, [filters, sizeOf(kernel), channels]);
    return [reshape(transpose(split, { perm: [0, 2, 1] }), [filters, channels, ...kernel])];
  },
});

const conv = (x: Blob, w: Blob, attrs: ConvAttrs, name?: string): Blob => emit(convOp, [x, w], attrs, name);
const convInputGrad = (dy: Blob, w: Blob, attrs: ConvInputGradAttrs, name?: string): Blob =>
  emit(convInputGradOp, [dy, w], attrs, name);
const convFilterGrad = (x: Blob, dy: Blob, attrs: ConvAttrs): Blob => emit(convFilterGradOp, [x, dy], attrs);

/** `[N, C, ...]` with the first two axes swapped; a reshape where one of them is 1. */
function batchFirst(x: Blob): Blob {
  const [first, second, ...rest] = x.shape;
  if (first === 1 || second === 1) return reshape(x, [second!, first!, ...rest]);
  return transpose(x, { perm: [1, 0, ...rest.map((_, i) => i + 2)] });
}

const swapFirst = (x: Blob): Blob => transpose(x, { perm: [1, 0, ...x.shape.slice(2).map((_, i) => i + 2)] });

/** `[1, K, ...]` -> `[K, 1, ...]`. */
const ungrouped = (x: Blob): Blob => reshape(x, [x.shape[1]!, 1, ...x.shape.slice(2)]);

/** `[N, C, ...S]` -> `[G, K C', N L]`: the cells under each tap. */
function columnsOf(x: Blob, attrs: ConvAttrs): Blob {
  const { groups } = attrs;
  const [batch, channels, ...sizes] = x.shape;
  const taps = unfold(reshape(batchFirst(x), [groups, channels! / groups, batch!, ...sizes]), windowOf(attrs));
  const ordered = groups === 1 ? taps : swapFirst(taps);
  return reshape(ordered, [groups, (taps.shape[0]! * channels!) / groups, -1]);
}

/** Filters `[O, C', ...kernel]` -> `[G, O', K C']`. */
function rowsOf(w: Blob, { groups, kernel }: ConvAttrs): Blob {
  const [filters, channels] = w.shape;
  const taps = reshape(w, [filters!, channels!, sizeOf(kernel)]);
  return reshape(transpose(taps, { perm: [0, 2, 1] }), [groups, filters! / groups, sizeOf(kernel) * channels!]);
}

/** `[N, O, ...L]` -> `[G, O', N L]`. */
function toGroups(y: Blob, groups: number): Blob {
  return reshape(batchFirst(y), [groups, y.shape[1]! / groups, -1]);
}

/** `[G, O', N L]` -> `[N, O, ...outputs]`. */
function fromGroups(y: Blob, batch: number, outputs: Shape): Blob {
  return batchFirst(reshape(y, [y.shape[0]! * y.shape[1]!, batch, ...outputs]));
}

/** Options of `conv1d`, `conv2d`, `conv3d` and `compatConv2d`. */
export interface ConvOptions extends Named {
  /**
   * Channels first (default: `"NCW"`, `"NCHW"`, `"NCDHW"`; filters `[O, I / groups, ...kernel]`) or last (`"NWC"`, `"NHWC"`,
   * `"NDHWC"`; filters `[O, ...kernel, I / groups]`).
   */
  readonly dataFormat?: string;
  /** Distance between taps: a number or one per spatial axis; default 1. */
  readonly dilations?: number | readonly number[] | null;
  /** Channels are split into this many groups, each with its own filters; default 1. `conv1d` and `conv3d` have one group with channels last. */
  readonly groups?: number;
}

/**
 * 1-D cross-correlation without a bias, of `[N, C, W]`; padding as in `conv2d`.
 * @flow nn.conv1d
 * @example
 * ```ts job
 * // x = [[[1, 2, 3, 4]]]
 * // w = [[[1, 10]]]
 * flow.nn.conv1d(x, w, 1, "VALID"); // -> [[[21, 32, 43]]]
 * ```
 */
export function conv1d(
  input: Blob,
  filters: Blob,
  strides: number | readonly number[],
  padding: Padding,
  options: ConvOptions = {},
): Blob {
  return convolution("nn.conv1d", 1, input, filters, strides, padding, options);
}

/**
 * 2-D cross-correlation without a bias. `padding` `"SAME"` puts the odd cell before (`"SAME_UPPER"` after); an array
 * holds one entry per axis of the input.
 * @flow nn.conv2d
 * @example
 * ```ts job
 * // x = [[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]]
 * // w = [[[[1, 0], [0, 1]]]]
 * flow.nn.conv2d(x, w, 1, "VALID"); // -> [[[[6, 8], [12, 14]]]]
 * ```
 */
export function conv2d(
  input: Blob,
  filters: Blob,
  strides: number | readonly number[],
  padding: Padding,
  options: ConvOptions = {},
): Blob {
  return convolution("nn.conv2d", 2, input, filters, strides, padding, options);
}

/**
 * 3-D cross-correlation without a bias, of `[N, C, D, H, W]`; padding as in `conv2d`.
 * @flow nn.conv3d
 * @example
 * ```ts job
 * // x = [[[[[1, 2]], [[3, 4]]]]]
 * // w = [[[[[1]], [[10]]]]]
 * flow.nn.conv3d(x, w, 1, "VALID"); // -> [[[[[31, 42]]]]]
 * ```
 */
export function conv3d(
  input: Blob,
  filters: Blob,
  strides: number | readonly number[],
  padding: Padding,
  options: ConvOptions = {},
): Blob {
  return convolution("nn.conv3d", 3, input, filters, strides, padding, options);
}

/**
 * `conv2d` whose `"SAME"` puts the odd cell of padding after, as TensorFlow does.
 * @flow nn.compat_conv2d
 * @example
 * ```ts job
 * // x = [[[[1, 2]]]]
 * // w = [[[[1, 10]]]]
 * flow.nn.compatConv2d(x, w, 1, "SAME"); // -> [[[[21, 2]]]]
 * flow.nn.conv2d(x, w, 1, "SAME"); // -> [[[[10, 21]]]]
 * ```
 */
export function compatConv2d(
  input: Blob,
  filters: Blob,
  strides: number | readonly number[],
  padding: Padding,
  options: ConvOptions = {},
): Blob {
  return convolution("nn.compatConv2d", 2, input, filters, strides, upper(padding), options);
}

/** `"SAME"` with the odd cell after. */
const upper = (padding: Padding): Padding =>
  typeof padding === "string" && padding.toUpperCase() === "SAME" ? "SAME_UPPER" : padding;

function convolution(
  what: string,
  spatial: number,
  input: Blob,
  filters: Blob,
  strides: number | readonly number[],
  padding: Padding,
  options: ConvOptions,
): Blob {
  const known = ["dataFormat", "dilations", "groups", "name"];
  const { dataFormat, dilations, groups = 1, name } = checkOptions(what, options, known);
  const where = name === undefined ? what : `${what} '${name}'`;
  const format = dataFormat ?? channelsFirst(spatial);
  const last = channelsLast(where, format, spatial);
  requireImages(where, "input", input, spatial);
  requireImages(where, "filters", filters, spatial);
  if (input.dtype !== filters.dtype)
    throw new FlowError(
      "E_DTYPE",
      `${where}: input is ${textOf(input)}, filters are ${textOf(filters)}, expected equal dtypes; flow.cast one of them`,
    );
  const x = last ? toChannelsFirst(input) : input;
  const w = last ? toChannelsFirst(filters) : filters;
  const [outputs, width] = w.shape as [number, number];
  const channels = x.shape[1]!;
  if (last && spatial !== 2 && groups !== 1)
    throw new FlowError("E_ARGUMENT", `${where}: groups is ${groups}, expected 1 with dataFormat ${format}`);
  if (!(Number.isInteger(groups) && groups > 0 && outputs % groups === 0 && channels % groups === 0))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: groups is ${plainText(groups)}, expected a divisor of ${channels} input channels and of ${outputs} filters`,
    );
  if (width !== channels / groups)
    throw new FlowError(
      "E_SHAPE",
      `${where}: filters are ${textOf(filters)} (${format}), expected ${channels / groups} channels each for input ${textOf(input)} in ${groups} group${groups === 1 ? "" : "s"}`,
    );
  const window = {
    kernel: w.shape.slice(2),
    strides: perAxis(where, "strides", strides, spatial),
    dilations: perAxis(where, "dilations", dilations ?? 1, spatial),
  };
  const sizes = x.shape.slice(2);
  const pads = resolvePadding({ where, padding, sizes, channelsLast: last, window });
  fittingOutputs(where, input, sizes, { ...window, pads });
  const y = conv(x, w, { ...window, pads, groups }, last ? undefined : name);
  return last ? toChannelsLast(y, name) : y;
}

/** `[N, ..., C]` -> `[N, C, ...]`. */
export function toChannelsFirst(x: Blob): Blob {
  const rank = x.shape.length;
  return transpose(x, { perm: [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, i) => i + 1)] });
}

/** `[N, C, ...]` -> `[N, ..., C]`. */
export function toChannelsLast(x: Blob, name?: string): Blob {
  const rank = x.shape.length;
  const perm = [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1];
  return transpose(x, name === undefined ? { perm } : { perm, name });
}

/** Checks a floating blob with so many axes beside batch and channels. */
export function requireImages(where: string, what: string, x: Blob, spatial: number): void {
  requireFloat(where, x, what);
  if (x.shape.length !== spatial + 2)
    throw new FlowError("E_SHAPE", `${where}: ${what} is ${textOf(x)}, expected rank ${spatial + 2}; flow.reshape it`);
}

/** Options of `conv2dTranspose`. */
export interface Conv2dTransposeOptions extends Named {
  /** Default 1. */
  readonly strides?: number | readonly number[];
  /** Default `"VALID"`; `"SAME"` puts the odd cell after, as documented for this function. */
  readonly padding?: Padding;
  /** `"NCHW"` (default; filters `[in, out, H, W]`) or `"NHWC"` (filters `[in, H, W, out]`). */
  readonly dataFormat?: string;
  /** Distance between the taps of the filter; default 1. */
  readonly dilations?: number | readonly number[] | null;
}

/**
 * The transpose of `conv2d`: what a convolution from `outputShape` to `value`'s shape would send back. The documented
 * aliases `input` and `filters` are the first two arguments here.
 * @flow nn.conv2d_transpose
 */
export function conv2dTranspose(
  value: Blob,
  filter: Blob,
  outputShape: readonly number[],
  options: Conv2dTransposeOptions = {},
): Blob {
  checkOptions("nn.conv2dTranspose", options, ["strides", "padding", "dataFormat", "dilations", "name"]);
  const { strides = 1, padding = "VALID", dataFormat = "NCHW", dilations, name } = options;
  const where = name === undefined ? "nn.conv2dTranspose" : `nn.conv2dTranspose '${name}'`;
  const last = channelsLast(where, dataFormat, 2);
  requireImages(where, "value", value, 2);
  requireImages(where, "filter", filter, 2);
  if (
    !Array.isArray(outputShape) ||
    outputShape.length !== 4 ||
    !outputShape.every((d) => Number.isInteger(d) && d > 0)
  )
    throw new FlowError("E_SHAPE", `${where}: outputShape is ${plainText(outputShape)}, expected 4 positive integers`);
  const dy = last ? toChannelsFirst(value) : value;
  const w = last ? toChannelsFirst(filter) : filter;
  const [batch, channels, ...sizes] = last
    ? [outputShape[0]!, outputShape[3]!, outputShape[1]!, outputShape[2]!]
    : (outputShape as [number, number, number, number]);
  const window = {
    kernel: w.shape.slice(2),
    strides: perAxis(where, "strides", strides, 2),
    dilations: perAxis(where, "dilations", dilations ?? 1, 2),
  };
  const pads = resolvePadding({ where, padding: upper(padding), sizes, channelsLast: last, window });
  const found = [batch, w.shape[0]!, ...windowOutputs(sizes, { ...window, pads })];
  if (channels !== w.shape[1] || !sameShape(found, dy.shape))
    throw new FlowError(
      "E_SHAPE",
      `${where}: a convolution of ${dataFormat} [${outputShape.join(",")}] with filter ${textOf(filter)} gives [${found.join(",")}] (NCHW), but value is ${textOf(value)}; outputShape, strides and padding must fit together`,
    );
  const y = convInputGrad(dy, w, { ...window, pads, groups: 1, sizes }, last ? undefined : name);
  return last ? toChannelsLast(y, name) : y;
}

/** Options of `torchConv2dTranspose`. */
export interface TorchConv2dTransposeOptions extends Named {
  /** Rows and columns added after the result, each below its stride: a number or one per axis; default 0. */
  readonly outputPadding?: number | readonly number[] | null;
  /** Default 1. */
  readonly strides?: number | readonly number[] | null;
  /** Rows and columns that the convolution adds in all, half before and half after, so even: a number or one per axis; default 0. */
  readonly paddingNeeded?: number | readonly number[] | null;
  /** `"NCHW"` (default; filters `[in, out, H, W]`) or `"NHWC"` (filters `[in, H, W, out]`). */
  readonly dataFormat?: string;
  /** Distance between the taps of the filter; default 1. */
  readonly dilations?: number | readonly number[] | null;
}

/**
 * The transpose of `conv2d` as PyTorch counts it: sizes `(in - 1) stride - paddingNeeded + (k - 1) dilation + outputPadding + 1`.
 * The documented aliases `input` and `filters` are the first two arguments here.
 * @flow nn.torch_conv2d_transpose
 * @example
 * ```ts job
 * // x = [[[[1, 2]]]]
 * // w = [[[[1, 10]]]]
 * flow.nn.torchConv2dTranspose(x, w, { strides: [1, 2] }); // -> [[[[1, 10, 2, 20]]]]
 * ```
 */
export function torchConv2dTranspose(value: Blob, filter: Blob, options: TorchConv2dTransposeOptions = {}): Blob {
  const known = ["outputPadding", "strides", "paddingNeeded", "dataFormat", "dilations", "name"];
  const what = "nn.torchConv2dTranspose";
  const {
    outputPadding,
    strides,
    paddingNeeded,
    dataFormat = "NCHW",
    dilations,
    name,
  } = checkOptions(what, options, known);
  const where = name === undefined ? what : `${what} '${name}'`;
  const last = channelsLast(where, dataFormat, 2);
  requireImages(where, "value", value, 2);
  requireImages(where, "filter", filter, 2);
  const dy = last ? toChannelsFirst(value) : value;
  const w = last ? toChannelsFirst(filter) : filter;
  if (dy.dtype !== w.dtype)
    throw new FlowError(
      "E_DTYPE",
      `${where}: value is ${textOf(value)}, filter is ${textOf(filter)}, expected equal dtypes; flow.cast one of them`,
    );
  if (dy.shape[1] !== w.shape[0])
    throw new FlowError(
      "E_SHAPE",
      `${where}: value is ${textOf(value)}, filter is ${textOf(filter)} (${dataFormat}), expected a filter whose first dimension is ${dy.shape[1]}, the value's channels`,
    );
  const window = {
    kernel: w.shape.slice(2),
    strides: perAxis(where, "strides", strides ?? 1, 2),
    dilations: perAxis(where, "dilations", dilations ?? 1, 2),
  };
  const more = perAxis(where, "outputPadding", outputPadding ?? 0, 2, 0);
  if (more.some((rows, i) => rows >= window.strides[i]!))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: outputPadding is [${more.join(",")}], expected less than the strides [${window.strides.join(",")}]`,
    );
  const total = perAxis(where, "paddingNeeded", paddingNeeded ?? 0, 2, 0);
  if (total.some((cells) => cells % 2 !== 0))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: paddingNeeded is [${total.join(",")}], expected even numbers: half of each goes before, half after`,
    );
  const half = total.map((cells) => cells / 2);
  const sizes = dy.shape
    .slice(2)
    .map(
      (size, i) =>
        (size - 1) * window.strides[i]! - total[i]! + (window.kernel[i]! - 1) * window.dilations[i]! + more[i]! + 1,
    );
  if (sizes.some((size) => size < 1))
    throw new FlowError(
      "E_SHAPE",
      `${where}: paddingNeeded [${total.join(",")}] leaves [${sizes.join(",")}] of value ${textOf(value)}, expected at least 1 on each axis`,
    );
  const attrs = { ...window, pads: [...half, ...half], groups: 1, sizes };
  const y = convInputGrad(dy, w, attrs, last ? undefined : name);
  return last ? toChannelsLast(y, name) : y;
}
