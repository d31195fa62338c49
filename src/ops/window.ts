import { FlowError, plainText, textOfValue } from "../core/errors.js";
import { type Shape, sizeOf } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { emit, textOf } from "../graph/trace.js";
import { type Named, named, op, requireBlob } from "./define.js";
import { pad } from "./parts.js";

/** How a window of `kernel` taps moves over the last axes of a blob; one entry per axis. */
export type Window = {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Cells added before, then after: `[top, left, bottom, right]`. */
  readonly pads: readonly number[];
};

/** Paddings that follow from window, stride and size. */
export type PaddingName = "SAME" | "SAME_LOWER" | "SAME_UPPER" | "VALID";

/** `"SAME"` (the odd cell before), `"SAME_UPPER"` (after), `"VALID"`, or per axis of the input the number before and after. */
export type Padding = PaddingName | Lowercase<PaddingName> | readonly (number | readonly [number, number])[];

/** Distance from the first to the last tap, plus 1. */
const reach = (kernel: number, dilation: number): number => (kernel - 1) * dilation + 1;

/** Spatial sizes after the window has moved over `sizes`. */
export function windowOutputs(sizes: Shape, { kernel, strides, dilations, pads }: Window): number[] {
  const n = sizes.length;
  return sizes.map(
    (size, i) => Math.floor((size + pads[i]! + pads[n + i]! - reach(kernel[i]!, dilations[i]!)) / strides[i]!) + 1,
  );
}

/** Of each axis and place of the window: how many of its taps lie inside `sizes`. */
export function tapsInside(sizes: Shape, window: Window): number[][] {
  const { kernel, strides, dilations, pads } = window;
  return windowOutputs(sizes, window).map((places, axis) =>
    Array.from({ length: places }, (_, place) => {
      const start = place * strides[axis]! - pads[axis]!;
      const taps = Array.from({ length: kernel[axis]! }, (_, tap) => start + tap * dilations[axis]!);
      return taps.filter((at) => at >= 0 && at < sizes[axis]!).length;
    }),
  );
}

/** A number of at least `least`, or one per spatial axis, as an array. */
export function perAxis(
  where: string,
  what: string,
  value: number | readonly number[],
  axes: number,
  least: 0 | 1 = 1,
): number[] {
  const list: readonly number[] = typeof value === "number" ? [value] : Array.isArray(value) ? value : [];
  const full = list.length === 1 ? Array<number>(axes).fill(list[0]!) : list;
  if (full.length !== axes || !full.every((v) => Number.isInteger(v) && v >= least)) {
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: ${what} is ${plainText(value)}, expected ${least === 0 ? "an integer of at least 0" : "a positive integer"}${axes === 1 ? "" : ` or ${axes} of them`}`,
    );
  }
  return [...full];
}

/** The default layout: `NCHW` and its like. */
export const channelsFirst = (spatial: number): string => `NC${"DHW".slice(-spatial)}`;

/** True for formats that put channels last; names are compared without case. */
export function channelsLast(where: string, dataFormat: string, spatial: number): boolean {
  const format = typeof dataFormat === "string" ? dataFormat.toUpperCase() : "";
  const axes = "DHW".slice(-spatial);
  if (format === `NC${axes}`) return false;
  if (format === `N${axes}C`) return true;
  throw new FlowError(
    "E_ARGUMENT",
    `${where}: dataFormat is ${plainText(dataFormat)}, expected 'NC${axes}' or 'N${axes}C'`,
  );
}

export interface PaddingRequest {
  readonly where: string;
  readonly padding: Padding;
  /** Spatial sizes of the input. */
  readonly sizes: Shape;
  readonly channelsLast: boolean;
  readonly window: Omit<Window, "pads">;
  /** Round output sizes up (explicit padding only, as documented). */
  readonly ceilMode?: boolean;
}

/** Before and after each spatial axis, so many cells that there is a place for each stride; the odd cell comes after. */
export function samePads(sizes: Shape, { kernel, strides, dilations }: Omit<Window, "pads">): number[] {
  const total = sizes.map((size, i) => {
    const places = Math.ceil(size / strides[i]!);
    return Math.max(0, (places - 1) * strides[i]! + reach(kernel[i]!, dilations[i]!) - size);
  });
  const before = total.map((n) => Math.floor(n / 2));
  return [...before, ...total.map((n, i) => n - before[i]!)];
}

/** The documented padding rules as numbers before and after each spatial axis. */
export function resolvePadding({
  where,
  padding,
  sizes,
  channelsLast: last,
  window,
  ceilMode = false,
}: PaddingRequest): number[] {
  const n = sizes.length;
  const pads = Array<number>(2 * n).fill(0);
  if (typeof padding === "string") {
    const mode = padding.toUpperCase();
    if (mode === "VALID") return pads;
    if (mode !== "SAME" && mode !== "SAME_LOWER" && mode !== "SAME_UPPER") throw unknownPadding(where, padding, n);
    const upper = samePads(sizes, window);
    return mode === "SAME_UPPER" ? upper : [...upper.slice(n), ...upper.slice(0, n)];
  }
  if (!Array.isArray(padding) || padding.length !== n + 2) throw unknownPadding(where, padding, n);
  for (const [axis, entry] of padding.entries()) {
    const [before, after] = (Array.isArray(entry) ? entry : [entry, entry]) as [number, number];
    const spatial = axis - (last ? 1 : 2);
    if (!(Number.isInteger(before) && Number.isInteger(after) && before >= 0 && after >= 0))
      throw unknownPadding(where, padding, n);
    if (spatial >= 0 && spatial < n) {
      pads[spatial] = before;
      pads[n + spatial] = after;
    } else if (before !== 0 || after !== 0) {
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: padding ${plainText(padding)} pads axis ${axis}, which is batch or channels; it must be 0 there`,
      );
    }
  }
  if (ceilMode) {
    for (const [i, size] of sizes.entries()) {
      const stride = window.strides[i]!;
      const room = size + pads[i]! + pads[n + i]! - reach(window.kernel[i]!, window.dilations[i]!);
      const extra = Math.ceil(room / stride) * stride - room;
      // A window that would begin behind the input is dropped, as in PyTorch.
      if (Math.ceil(room / stride) * stride < size + pads[i]!) pads[n + i]! += extra;
    }
  }
  return pads;
}

function unknownPadding(where: string, padding: unknown, n: number): FlowError {
  return new FlowError(
    "E_ARGUMENT",
    `${where}: padding is ${plainText(padding)}, expected 'SAME', 'SAME_LOWER', 'SAME_UPPER', 'VALID' or ${n + 2} entries (a number or [before, after]), one per axis of the input`,
  );
}

/** Spatial sizes of the result; E_SHAPE where the window does not fit. */
export function fittingOutputs(where: string, x: Blob, sizes: Shape, window: Window): number[] {
  const outputs = windowOutputs(sizes, window);
  if (outputs.some((size) => size < 1)) {
    throw new FlowError(
      "E_SHAPE",
      `${where}: a window of [${window.kernel.join(",")}] (dilation [${window.dilations.join(",")}], padding [${window.pads.join(",")}]) does not fit into ${textOf(x)}`,
    );
  }
  return outputs;
}

export type UnfoldAttrs = Window & { readonly value: number | string };

/**
 * The cells under each tap of a moving window: `[k, ...lead, ...outputs]` of `[...lead, ...sizes]`, k over the taps in C
 * order; cells outside the input are `value`. Linear, with `fold` as its transpose.
 */
export function unfold(x: Blob, window: Window, value: number | string = 0): Blob {
  return emit(unfoldOp, [x], { ...window, value });
}
export const unfoldOp = op("unfold", {
  infer: ([x], attrs: UnfoldAttrs): BlobType => {
    const lead = x!.shape.length - attrs.kernel.length;
    const outputs = windowOutputs(x!.shape.slice(lead), attrs);
    return { dtype: x!.dtype, shape: [sizeOf(attrs.kernel), ...x!.shape.slice(0, lead), ...outputs] };
  },
  grad: ({ inputs: [x], dy, attrs }) => [fold(dy, windowOf(attrs), x!.shape.slice(-attrs.kernel.length))],
});

export type FoldAttrs = Window & { readonly sizes: Shape };

/** Adds each tap's cells back to where `unfold` took them from: `[...lead, ...sizes]`. */
export function fold(x: Blob, window: Window, sizes: Shape): Blob {
  return emit(foldOp, [x], { ...window, sizes });
}
export const foldOp = op("fold", {
  infer: ([x], { sizes }: FoldAttrs): BlobType => ({
    dtype: x!.dtype,
    shape: [...x!.shape.slice(1, x!.shape.length - sizes.length), ...sizes],
  }),
  grad: ({ dy, attrs }) => [unfold(dy, windowOf(attrs))],
});

/** The window in an op's attributes. */
export function windowOf({ kernel, strides, dilations, pads }: Window): Window {
  return { kernel, strides, dilations, pads };
}

/**
 * `x` with the zeros around its spatial axes that the documented padding gives a window of this size, stride and dilation (numbers, or
 * one for each spatial axis): `"SAME_LOWER"` puts the odd cell before, `"SAME_UPPER"` after. `dataFormat` is such as "NCHW" or "NHWC".
 * @flow same_padding
 * @example
 * ```ts job
 * // x = [[[1, 2, 3]]]
 * flow.samePadding(x, "SAME_LOWER", "NCW", 2, 1, 1); // -> [[[0, 1, 2, 3]]]
 * ```
 */
export function samePadding(
  x: Blob,
  padding: "SAME_LOWER" | "SAME_UPPER" | "same_lower" | "same_upper",
  dataFormat: string,
  kernelSize: number | readonly number[],
  strides: number | readonly number[],
  dilationRate: number | readonly number[],
  options?: Named,
): Blob {
  const where = "samePadding";
  const last = named(where, options);
  requireBlob(where, "x", x);
  if (typeof padding !== "string" || !["SAME_LOWER", "SAME_UPPER"].includes(padding.toUpperCase()))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: padding is ${textOfValue(padding)}, expected "SAME_LOWER" or "SAME_UPPER"`,
    );
  const axes = x.shape.length - 2;
  if (axes < 1 || axes > 3)
    throw new FlowError("E_SHAPE", `${where}: x is ${textOf(x)}, expected rank 3, 4 or 5: batch, channels, space`);
  const isLast = channelsLast(where, dataFormat, axes);
  const first = isLast ? 1 : 2;
  const window = {
    kernel: perAxis(where, "kernelSize", kernelSize, axes),
    strides: perAxis(where, "strides", strides, axes),
    dilations: perAxis(where, "dilationRate", dilationRate, axes),
  };
  const sizes = x.shape.slice(first, first + axes);
  const pads = resolvePadding({ where, padding, sizes, channelsLast: isLast, window });
  const spatial = sizes.map((_, i): [number, number] => [pads[i]!, pads[axes + i]!]);
  const none: [number, number] = [0, 0];
  return pad(x, isLast ? [none, ...spatial, none] : [none, none, ...spatial], last);
}
