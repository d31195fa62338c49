import type { DType } from "../core/dtype.js";
import { checkOptions, FlowError } from "../core/errors.js";
import { type Shape, sameShape, sizeOf } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { emit, emitAll } from "../graph/trace.js";
import { requireImages, toChannelsFirst, toChannelsLast } from "./conv.js";
import { decomposable, type Named, op } from "./define.js";
import { divide } from "./elementwise.js";
import { gatherRows } from "./indexing.js";
import { reduceSum } from "./reduce.js";
import { constantOp } from "./sources.js";
import { broadcastTo, reshape } from "./structure.js";
import {
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

/** Options of the pooling functions. */
export interface PoolOptions extends Named {
  /** Channels first (`"NCW"`, `"NCHW"`, `"NCDHW"`; the default but for `maxPool1d`) or last (`"NWC"`, `"NHWC"`, `"NDHWC"`). */
  readonly dataFormat?: string;
  /** Rounds output sizes up, with explicit padding only, as documented; default false. */
  readonly ceilMode?: boolean;
}

/**
 * `maxPool2d` along one axis; `dataFormat` is `"NWC"` where left out, as documented. (v0.2 had no kernel for it.)
 * @flow nn.max_pool1d
 * @example
 * ```ts job
 * // x = [[[1], [2], [4], [3]]]
 * flow.nn.maxPool1d(x, 2, 2, "VALID"); // -> [[[2], [4]]]
 * ```
 */
export function maxPool1d(
  input: Blob,
  ksize: number | readonly number[],
  strides: number | readonly number[],
  padding: Padding,
  options: PoolOptions = {},
): Blob {
  return maxima(1, "NWC", input, ksize, strides, padding, options);
}

/**
 * The largest cell of each window; where several are equal the first (in C order) gets the gradient. `"SAME"` puts the
 * odd cell of padding before.
 * @flow nn.max_pool2d
 * @example
 * ```ts job
 * // x = [[[[1, 2], [3, 4]]]]
 * flow.nn.maxPool2d(x, 2, 2, "VALID"); // -> [[[[4]]]]
 * ```
 */
export function maxPool2d(
  input: Blob,
  ksize: number | readonly number[],
  strides: number | readonly number[],
  padding: Padding,
  options: PoolOptions = {},
): Blob {
  return maxima(2, "NCHW", input, ksize, strides, padding, options);
}

/**
 * `maxPool2d` along three axes.
 * @flow nn.max_pool3d
 * @example
 * ```ts job
 * // x = [[[[[1, 2], [3, 4]], [[5, 6], [8, 7]]]]]
 * flow.nn.maxPool3d(x, 2, 2, "VALID"); // -> [[[[[8]]]]]
 * ```
 */
export function maxPool3d(
  input: Blob,
  ksize: number | readonly number[],
  strides: number | readonly number[],
  padding: Padding,
  options: PoolOptions = {},
): Blob {
  return maxima(3, "NCDHW", input, ksize, strides, padding, options);
}

/**
 * `avgPool2d` along one axis; `dataFormat` is `"NCW"` where left out, as documented. (v0.2 had no kernel for it.)
 * @flow nn.avg_pool1d
 * @example
 * ```ts job
 * // x = [[[1, 2, 4, 3]]]
 * flow.nn.avgPool1d(x, 2, 2, "VALID"); // -> [[[1.5, 3.5]]]
 * ```
 */
export function avgPool1d(
  input: Blob,
  ksize: number | readonly number[],
  strides: number | readonly number[],
  padding: Padding,
  options: PoolOptions = {},
): Blob {
  return means(1, "NCW", input, ksize, strides, padding, options);
}

/**
 * The mean of the cells of each window that lie inside the input.
 * @flow nn.avg_pool2d
 * @example
 * ```ts job
 * // x = [[[[1, 2], [3, 4]]]]
 * flow.nn.avgPool2d(x, 2, 2, "VALID"); // -> [[[[2.5]]]]
 * ```
 */
export function avgPool2d(
  input: Blob,
  ksize: number | readonly number[],
  strides: number | readonly number[],
  padding: Padding,
  options: PoolOptions = {},
): Blob {
  return means(2, "NCHW", input, ksize, strides, padding, options);
}

/**
 * `avgPool2d` along three axes.
 * @flow nn.avg_pool3d
 * @example
 * ```ts job
 * // x = [[[[[1, 2], [3, 4]], [[5, 6], [8, 7]]]]]
 * flow.nn.avgPool3d(x, 2, 2, "VALID"); // -> [[[[[4.5]]]]]
 * ```
 */
export function avgPool3d(
  input: Blob,
  ksize: number | readonly number[],
  strides: number | readonly number[],
  padding: Padding,
  options: PoolOptions = {},
): Blob {
  return means(3, "NCDHW", input, ksize, strides, padding, options);
}

type PoolArguments = readonly [
  spatial: 1 | 2 | 3,
  dataFormat: string,
  input: Blob,
  ksize: number | readonly number[],
  strides: number | readonly number[],
  padding: Padding,
  options: PoolOptions,
];

const maxima = (...args: PoolArguments): Blob =>
  pool("max", args, (x, window, name) => emitAll(maxPoolOp, [x], window, name)[0]!);

const means = (...args: PoolArguments): Blob => pool("avg", args, avgPool);

function pool(
  kind: "max" | "avg",
  [spatial, usual, input, ksize, strides, padding, options]: PoolArguments,
  apply: (x: Blob, window: Window, name: string | undefined) => Blob,
): Blob {
  const what = `nn.${kind}Pool${spatial}d`;
  const {
    dataFormat = usual,
    ceilMode = false,
    name,
  } = checkOptions(what, options, ["dataFormat", "ceilMode", "name"]);
  const where = name === undefined ? what : `${what} '${name}'`;
  requireImages(where, "input", input, spatial);
  const last = channelsLast(where, dataFormat, spatial);
  const x = last ? toChannelsFirst(input) : input;
  const sizes = x.shape.slice(2);
  const moving = {
    kernel: perAxis(where, "ksize", ksize, spatial),
    strides: perAxis(where, "strides", strides, spatial),
    dilations: Array<number>(spatial).fill(1),
  };
  const window = {
    ...moving,
    pads: resolvePadding({ where, padding, sizes, channelsLast: last, window: moving, ceilMode }),
  };
  if (window.pads.some((pad, i) => pad >= window.kernel[i % spatial]!))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: padding [${window.pads.join(",")}] is as large as the window [${window.kernel.join(",")}], so that a window would see no cell of the input`,
    );
  fittingOutputs(where, input, sizes, window);
  const y = apply(x, window, last ? undefined : name);
  return last ? toChannelsLast(y, name) : y;
}

/** Outputs: the maxima, and where each was found, as an index into the flattened input. */
export const maxPoolOp = op("maxPool", {
  infer: ([x], window: Window): readonly BlobType[] => {
    const lead = x!.shape.length - window.kernel.length;
    const shape = [...x!.shape.slice(0, lead), ...windowOutputs(x!.shape.slice(lead), window)];
    return [
      { dtype: x!.dtype, shape },
      { dtype: "int64", shape },
    ];
  },
  grad: ({ inputs: [x], outputs: [, index], dys: [dy], attrs }) => [
    dy == null ? null : emit(maxUnpoolOp, [dy, index!], { ...windowOf(attrs), shape: x!.shape }),
  ],
});

export type MaxUnpoolAttrs = Window & { readonly shape: Shape };

/** Adds each cell of `dy` at its index of a flattened zero blob of `shape`. The window says which indices can meet. */
export const maxUnpoolOp = op("maxUnpool", {
  infer: ([dy], { shape }: MaxUnpoolAttrs): BlobType => ({ dtype: dy!.dtype, shape }),
  grad: ({ inputs: [, index], dy }) => [gatherRows(reshape(dy, [-1]), index!), null],
});

/** Means over the cells of each window that lie inside the input. */
export const avgPoolOp = decomposable("avgPool", {
  infer: ([x], window: Window): BlobType => {
    const lead = x!.shape.length - window.kernel.length;
    return { dtype: x!.dtype, shape: [...x!.shape.slice(0, lead), ...windowOutputs(x!.shape.slice(lead), window)] };
  },
  grad: ({ inputs: [x], dy, attrs }) => [
    avgPoolGrad(dy, { ...windowOf(attrs), sizes: x!.shape.slice(-attrs.kernel.length) }),
  ],
  decompose: ([x], attrs) => {
    const sizes = x!.shape.slice(-attrs.kernel.length);
    return [divide(reduceSum(unfold(x!, attrs), { axis: 0 }), cellsInside(x!.dtype, sizes, attrs))];
  },
});

export type AvgPoolGradAttrs = Window & { readonly sizes: Shape };

/** Whether one window lies over everything. */
export const isOneWindow = ({ kernel, sizes, pads }: AvgPoolGradAttrs): boolean =>
  sameShape(kernel, sizes) && pads.every((pad) => pad === 0);

/** The cotangent of `avgPool`'s input of spatial `sizes`: each window's cells inside get equal shares of its `dy`. */
export const avgPoolGradOp = decomposable("avgPoolGrad", {
  infer: ([dy], { sizes }: AvgPoolGradAttrs): BlobType => ({
    dtype: dy!.dtype,
    shape: [...dy!.shape.slice(0, dy!.shape.length - sizes.length), ...sizes],
  }),
  grad: ({ dy: cotangent, attrs }) => [avgPool(cotangent, windowOf(attrs))],
  decompose: ([dy], attrs) => {
    const { sizes, kernel } = attrs;
    const shares = divide(dy!, cellsInside(dy!.dtype, sizes, attrs));
    if (isOneWindow(attrs))
      return [broadcastTo(shares, [...dy!.shape.slice(0, dy!.shape.length - sizes.length), ...sizes])];
    const spread = broadcastTo(reshape(shares, [1, ...dy!.shape]), [sizeOf(kernel), ...dy!.shape]);
    return [fold(spread, windowOf(attrs), sizes)];
  },
});

const avgPool = (x: Blob, window: Window, name?: string): Blob => emit(avgPoolOp, [x], window, name);
const avgPoolGrad = (dy: Blob, attrs: AvgPoolGradAttrs): Blob => emit(avgPoolGradOp, [dy], attrs);

/** How many cells of each window lie inside an input of spatial `sizes`: one number where that is all of them. */
function cellsInside(dtype: DType, sizes: Shape, window: Window): Blob {
  if (window.pads.every((pad) => pad === 0))
    return emit(constantOp, [], { value: sizeOf(window.kernel), dtype, shape: [1] });
  const ones = emit(constantOp, [], { value: 1, dtype, shape: sizes });
  return reduceSum(unfold(ones, window), { axis: 0 });
}
