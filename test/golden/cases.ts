import { readFileSync } from "node:fs";
import * as flow from "onestep";
import type { DType } from "#src/core/dtype.js";
import { emit } from "#src/graph/trace.js";
import { type ConvAttrs, convFilterGradOp } from "#src/ops/conv.js";
import { maxUnpoolOp } from "#src/ops/pool.js";
import { fold, unfold, type Window } from "#src/ops/window.js";

export interface Values {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Numbers; what JSON has no word for by its name. */
  readonly data: readonly (number | string)[];
}
type Attrs = Readonly<Record<string, unknown>>;
export interface Case {
  readonly op: string;
  readonly inputs: readonly Values[];
  readonly attrs: Attrs;
  readonly output: Values;
  readonly cotangent?: Values | null;
  readonly grads?: readonly (Values | null)[] | null;
}

/** The cases of a file in this folder. */
export function readCases(file: string): readonly Case[] {
  return JSON.parse(readFileSync(new URL(`./${file}`, import.meta.url), "utf8")) as readonly Case[];
}

/** An op of the library on the inputs and attributes of a case: the attributes are its options, but for those below. */
export function call(op: string, attrs: Attrs, x: readonly flow.Blob[]): flow.Blob {
  const form = forms[op];
  if (form !== undefined) return form(x, attrs as never);
  const { experimental, layers, math, nn } = flow;
  const functions: Readonly<Record<string, unknown>> = { ...layers, ...math, ...nn, ...experimental, ...flow };
  return (functions[op] as (...args: unknown[]) => flow.Blob)(...x, attrs);
}

type Form = (x: readonly [flow.Blob, flow.Blob, flow.Blob, flow.Blob, flow.Blob], attrs: never) => flow.Blob;
/** What takes a list of blobs, or attributes by position. */
const forms: Readonly<Record<string, (x: readonly flow.Blob[], attrs: never) => flow.Blob>> = {
  batchNormalization: ([x, mean, variance, offset, scale], attrs: { varianceEpsilon: number }) =>
    flow.nn.batchNormalization(x, mean, variance, { offset, scale, ...attrs }),
  addN: (x) => flow.math.addN(x),
  broadcastTo: ([x], { shape }: { shape: number[] }) => flow.broadcastTo(x, shape),
  batchNormTraining: ([x, offset, scale], { axis }: { axis: number }) => {
    const channel = axis < 0 ? axis + x.shape.length : axis;
    const axes = x.shape.flatMap((_, i) => (i === channel ? [] : [i]));
    return flow.nn.batchNormalization(x, ...flow.nn.moments(x, axes), { offset, scale, axis });
  },
  broadcastToCompatibleWith: ([x, ...others]) => flow.broadcastToCompatibleWith(x, others),
  cast: ([x], { dtype }: { dtype: DType }) => flow.cast(x, dtype),
  concat: (x, attrs: { axis?: number }) => flow.concat(x, attrs),
  constant: (_, { value, ...attrs }: { value: number; dtype: DType }) => flow.constant(value, attrs),
  constantLike: ([x], { value, ...attrs }: { value: number }) => flow.constantLike(x, value, attrs),
  convFilterGrad: (x, attrs: ConvAttrs) => emit(convFilterGradOp, x, attrs),
  expandDims: ([x], { axis }: { axis: number }) => flow.expandDims(x, axis),
  fold: ([x], { sizes, ...window }: Window & { sizes: number[] }) => fold(x, window, sizes),
  layerNormParamGrad: ([dy, norm, gamma], { output, ...attrs }: { output: number }) =>
    flow.layers.layerNormParamGrad(dy, norm, gamma, attrs)[output]!,
  layerNorm: ([x, beta, gamma], attrs: { epsilon: number }) => flow.nn.layerNorm(x, { beta, gamma, ...attrs }),
  maskedFill: ([x, mask], { value }: { value: number }) => flow.maskedFill(x, mask, value),
  maxUnpool: ([dy, index], attrs: Window & { shape: number[] }) =>
    emit(maxUnpoolOp, [dy, flow.cast(index, "int64")], attrs),
  moments: ([x], { axes, output, ...attrs }: { axes: number[]; output: number }) =>
    flow.nn.moments(x, axes, attrs)[output]!,
  oneHot: ([x], { depth, ...attrs }: { depth: number }) => flow.oneHot(x, depth, attrs),
  padGrad: ([x], { paddings }: { paddings: [number, number][] }) => flow.padGrad(x, paddings),
  pad: ([x], { paddings, ...attrs }: { paddings: [number, number][] }) => flow.pad(x, paddings, attrs),
  reshape: ([x], { shape }: { shape: number[] }) => flow.reshape(x, shape),
  reverse: ([x], { at }: { at: number[] }) => flow.reverse(x, at),
  samePadding: (
    [x],
    {
      padding,
      format,
      kernel,
      strides,
      dilation,
    }: { padding: "SAME_LOWER"; format: string; kernel: number[]; strides: number[]; dilation: number[] },
  ) => flow.samePadding(x, padding, format, kernel, strides, dilation),
  scatterNd: ([indices, updates], { shape }: { shape: number[] }) => flow.scatterNd(indices, updates, shape),
  slice: ([x], { begin, size }: { begin: number[]; size: number[] }) => flow.slice(x, begin, size),
  sliceV2: ([x], { ranges }: { ranges: flow.SliceRange[] }) => flow.sliceV2(x, ranges),
  stack: (x, { at }: { at: number }) => flow.stack(x, at),
  tile: ([x], { reps }: { reps: number[] }) => flow.tile(x, reps),
  uniqueWithCounts: ([x], { result, ...attrs }: { result: 0 | 1 | 2 | 3 }) =>
    flow.experimental.uniqueWithCounts(x, attrs)[result],
  unfold: ([x], window: Window) => unfold(x, window),
  unsortedBatchSegmentSum: ([x, ids], { numSegments }: { numSegments: number }) =>
    flow.unsortedBatchSegmentSum(x, ids, numSegments),
  unsortedSegmentSum: ([x, ids], { numSegments, ...attrs }: { numSegments: number }) =>
    flow.unsortedSegmentSum(x, ids, numSegments, attrs),
} satisfies Readonly<Record<string, Form>> as never;
