import type { DType } from "../../../core/dtype.js";
import { type Shape, sameShape } from "../../../core/shape.js";
import type { BlobType } from "../../../graph/blob.js";
import type { ConvAttrs, ConvInputGradAttrs } from "../../../ops/conv.js";
import { type Emitters, int, ints, type Lowering, type } from "./context.js";
import { onImages, permuted, windowAttributes } from "./images.js";
import { concat, pad, slice } from "./parts.js";
import { transpose } from "./structure.js";

// TensorFlow's CPU kernels convolve images with channels last, filters [height, width, in, out]; variables keep [out, in, height, width].
const filtersIn = [2, 3, 1, 0];
const filtersOut = [3, 2, 0, 1];

/**
 * A convolution by one kernel, by the depthwise kernel (each input channel has filters of its own; strides must be equal), or by
 * one kernel a group.
 */
interface Form {
  readonly depthwise: boolean;
  readonly pieces: number;
}
function formOf({ groups, strides }: ConvAttrs, channels: number): Form {
  const depthwise = groups > 1 && groups === channels && strides[0] === strides[1];
  return { depthwise, pieces: depthwise ? 1 : groups };
}

/** Pieces of equal size along the last axis. */
const split = (to: Lowering, x: string, dtype: DType, pieces: number): readonly string[] =>
  pieces === 1
    ? [x]
    : to.nodeOf("Split", [to.scalar("int32", 3), x], { T: type(dtype), num_split: int(pieces) }, { outputs: pieces });

const isDilated = ({ dilations }: ConvAttrs): boolean => dilations.some((d) => d !== 1);

/** The same convolution without dilation, by filters with zeros between their taps. */
const stuffedAttrs = <A extends ConvAttrs>(attrs: A): A => ({
  ...attrs,
  kernel: attrs.kernel.map((k, i) => (k - 1) * attrs.dilations[i]! + 1),
  dilations: [1, 1],
});

/** Filters [height, width, ...] with zeros between their taps. */
function stuffed(to: Lowering, filters: string, dtype: DType, shape: Shape, attrs: ConvAttrs): string {
  if (!isDilated(attrs)) return filters;
  const [height, width, ...rest] = shape as readonly [number, number, ...number[]];
  const [down, across] = attrs.dilations as readonly [number, number];
  const inner = rest.reduce((product, n) => product * n, 1);
  const apart = to.reshape(filters, dtype, [height, 1, width, 1, inner]);
  const spread = pad(to, apart, dtype, [0, 0, 0, 0, 0], [0, down - 1, 0, across - 1, 0], 0);
  const flat = to.reshape(spread, dtype, [height * down, width * across, ...rest]);
  return slice(to, flat, dtype, {
    starts: [0, 0, 0, 0],
    sizes: [...stuffedAttrs(attrs).kernel, ...rest],
    steps: [1, 1, 1, 1],
  });
}

/** Stored filters as the kernels want them, and their shape: [height, width, in, out], or [height, width, channels, multiplier]. */
function kernelFilters(to: Lowering, w: string, dtype: DType, stored: Shape, attrs: ConvAttrs, { depthwise }: Form) {
  const [outputs, channels, ...kernel] = stored as readonly [number, number, number, number];
  const split = [attrs.groups, outputs / attrs.groups, ...kernel];
  const [filters, shape] = depthwise
    ? [transpose(to, to.reshape(w, dtype, split), dtype, [2, 3, 0, 1]), permuted(split, [2, 3, 0, 1])]
    : [transpose(to, w, dtype, filtersIn), [...kernel, channels, outputs]];
  return { filters, shape };
}

const spatial = ([, height, width]: Shape): Shape => [height!, width!];

/**
 * Along axes where the window has one place, an image that ends with it and no stride. oneDNN's kernel in TensorFlow 2.21 errs for
 * one channel, strides [1, n] and a result of width 1: in all 192 such cases among 12,582 drawn at random, and in no other.
 */
function cutToOnePlace(to: Lowering, x: string, { dtype, shape }: BlobType, attrs: ConvAttrs, places: Shape) {
  const { kernel, strides, dilations, pads } = attrs;
  const sizes = [...spatial(shape)];
  const after = pads.slice(2);
  const room = kernel.map((k, i) => (k - 1) * dilations[i]! + 1 - pads[i]!);
  const isLone = strides.map((stride, i) => stride !== 1 && places[i] === 1 && room[i]! > 0);
  for (const i of [0, 1].filter((axis) => isLone[axis])) {
    after[i] = Math.max(0, room[i]! - sizes[i]!);
    sizes[i] = Math.min(sizes[i]!, room[i]!);
  }
  const cut = [shape[0]!, ...sizes, shape[3]!];
  const whole = sameShape(cut, shape);
  return {
    image: whole ? x : slice(to, x, dtype, { starts: [0, 0, 0, 0], sizes: cut, steps: [1, 1, 1, 1] }),
    sizes,
    window: { ...attrs, strides: strides.map((s, i) => (isLone[i] ? 1 : s)), pads: [...pads.slice(0, 2), ...after] },
  };
}

/**
 * Where filters have one tap, only the cells that a stride steps on, as an image without stride. oneDNN's filter gradient in TensorFlow
 * 2.21 writes outside its memory for one tap with strides and cells left over (a crash later, or wrong values).
 */
function steppedOn(
  to: Lowering,
  x: string,
  { dtype, shape }: BlobType,
  attrs: ConvAttrs,
  places: Shape,
): { readonly image: string; readonly sizes: Shape; readonly window: ConvAttrs } {
  const { kernel, strides, pads } = attrs;
  if (kernel.some((k) => k !== 1) || strides.every((s) => s === 1))
    return { image: x, sizes: spatial(shape), window: stuffedAttrs(attrs) };
  const padded = pad(to, x, dtype, [0, ...pads.slice(0, 2), 0], [0, ...pads.slice(2), 0], 0);
  const sizes = [shape[0]!, ...places, shape[3]!];
  return {
    image: slice(to, padded, dtype, { starts: [0, 0, 0, 0], sizes, steps: [1, ...strides, 1] }),
    sizes: places,
    window: { ...attrs, strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1] },
  };
}

export const conv = {
  conv: onImages([0], (to, [x, w], attrs: ConvAttrs, [out], { inputs: [image, stored] }) => {
    const { dtype } = out!;
    const form = formOf(attrs, image!.shape[3]!);
    const { filters, shape } = kernelFilters(to, w!, dtype, stored!.shape, attrs, form);
    if (form.depthwise) {
      const attributes = windowAttributes(dtype, spatial(image!.shape), stuffedAttrs(attrs));
      return to.one("DepthwiseConv2dNative", [x!, stuffed(to, filters, dtype, shape, attrs)], attributes);
    }
    const cut = cutToOnePlace(to, x!, image!, attrs, spatial(out!.shape));
    const attributes = {
      ...windowAttributes(dtype, cut.sizes, cut.window),
      dilations: ints([1, ...attrs.dilations, 1]),
    };
    const parts = split(to, filters, dtype, form.pieces);
    const ys = split(to, cut.image, dtype, form.pieces).map((part, i) =>
      to.one("Conv2D", [part, parts[i]!], attributes),
    );
    return concat(to, ys, dtype, 3);
  }),
  convInputGrad: onImages([0], (to, [dy, w], attrs: ConvInputGradAttrs, [out], { inputs: [, stored] }) => {
    const { dtype, shape: image } = out!;
    const form = formOf(attrs, image[3]!);
    const attributes = windowAttributes(dtype, attrs.sizes, stuffedAttrs(attrs));
    const { filters, shape } = kernelFilters(to, w!, dtype, stored!.shape, attrs, form);
    const spread = stuffed(to, filters, dtype, shape, attrs);
    if (form.depthwise) return to.one("DepthwiseConv2dNativeBackpropInput", [to.ints(image), spread, dy!], attributes);
    const size = to.ints([...image.slice(0, 3), image[3]! / form.pieces]);
    const parts = split(to, spread, dtype, form.pieces);
    const dxs = split(to, dy!, dtype, form.pieces).map((part, i) =>
      to.one("Conv2DBackpropInput", [size, parts[i]!, part], attributes),
    );
    return concat(to, dxs, dtype, 3);
  }),
  convFilterGrad: onImages(
    [0, 1],
    (to, [x, dy], attrs: ConvAttrs, [out], { inputs: [image, cotangent] }) => {
      const { dtype, shape: stored } = out!;
      const [outputs, channels, ...kernel] = stored as readonly [number, number, number, number];
      const form = formOf(attrs, image!.shape[3]!);
      const seen = steppedOn(to, x!, image!, attrs, spatial(cotangent!.shape));
      const attributes = windowAttributes(dtype, seen.sizes, seen.window);
      const wide = seen.window.kernel;
      // Only the taps of filters with zeros between them are the filters' own.
      const taps = (dw: string, rest: Shape): string =>
        isDilated(attrs)
          ? slice(to, dw, dtype, {
              starts: [0, 0, 0, 0],
              sizes: [...kernel, ...rest],
              steps: [...attrs.dilations, 1, 1],
            })
          : dw;
      if (form.depthwise) {
        const rest = [attrs.groups, outputs / attrs.groups];
        const dw = to.one(
          "DepthwiseConv2dNativeBackpropFilter",
          [seen.image, to.ints([...wide, ...rest]), dy!],
          attributes,
        );
        return to.reshape(transpose(to, taps(dw, rest), dtype, [2, 3, 0, 1]), dtype, stored);
      }
      const size = to.ints([...wide, channels, outputs / form.pieces]);
      const dys = split(to, dy!, dtype, form.pieces);
      const dws = split(to, seen.image, dtype, form.pieces).map((part, i) =>
        to.one("Conv2DBackpropFilter", [part, size, dys[i]!], attributes),
      );
      return transpose(to, taps(concat(to, dws, dtype, 3), [channels, outputs]), dtype, filtersOut);
    },
    false,
  ),
} satisfies Partial<Emitters>;
