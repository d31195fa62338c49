import { allocate } from "../../../core/dtype.js";
import { sizeOf } from "../../../core/shape.js";
import type { Blob } from "../../../graph/blob.js";
import type { Node } from "../../../graph/graph.js";
import type { ConvAttrs, ConvInputGradAttrs } from "../../../ops/conv.js";
import { type AvgPoolGradAttrs, isOneWindow } from "../../../ops/pool.js";
import { tapsInside, type Window, windowOutputs } from "../../../ops/window.js";
import { convolution, turnedConvolution } from "./blocked.js";
import { type Emitter, type Emitters, int, ints, type Lowering, onlyWhere } from "./context.js";
import { fewPlacesFilterGradient, fewPlacesInputGradient, hasFewPlaces } from "./few-places.js";
import { blockedFilterGradient, imagewiseFilterGradient } from "./filter-gradient.js";
import { filterGradientInTiles, isFilterGradientFasterInTiles } from "./winograd.js";

/** onnxruntime's convolution and average pooling kernels are for float32. */
const isFloat32 = ({ outputs }: Node): boolean => outputs[0]!.dtype === "float32";

export const windowAttributes = ({ kernel, strides, dilations, pads }: Window) => ({
  kernel_shape: ints(kernel),
  strides: ints(strides),
  dilations: ints(dilations),
  pads: ints(pads),
});

/** No cell belongs to two windows. */
const isApart = ({ kernel, strides, dilations }: Window): boolean =>
  kernel.every((k, i) => strides[i]! >= (k - 1) * dilations[i]! + 1);

/** A convolution, with a bias a filter as third input if there is one. */
export const convolve: Emitter<ConvAttrs> = (to, inputs, attrs, [type], node) =>
  convolution(
    to,
    inputs,
    attrs,
    { input: node.inputs[0]!.shape, filters: node.inputs[1]!.shape, output: type!.shape },
    { direct: to.decides(node) },
  );

export const window = {
  conv: onlyWhere(isFloat32, convolve),
  convInputGrad: onlyWhere(isFloat32, (to, inputs, attrs: ConvInputGradAttrs, [type], node) => {
    const { kernel, strides, dilations, pads, sizes } = attrs;
    const [dy, w] = node.inputs as readonly [Blob, Blob];
    const shapes = { input: type!.shape, filters: w.shape, output: dy.shape };
    if (hasFewPlaces(to, attrs, shapes)) return fewPlacesInputGradient(to, inputs, attrs, shapes);
    const outputs = dy.shape.slice(2);
    const n = sizes.length;
    const reach = kernel.map((k, i) => (k - 1) * dilations[i]!);
    const before = reach.map((r, i) => r - pads[i]!);
    const after = sizes.map((size, i) => size - outputs[i]! + pads[i]!);
    // Without strides it is a convolution with the filters turned round, whose kernel is the faster one.
    if (attrs.groups === 1 && strides.every((s) => s === 1) && [...before, ...after].every((pad) => pad >= 0)) {
      const [out, channels, ...taps] = w.shape;
      return turnedConvolution(
        to,
        inputs,
        { ...attrs, pads: [...before, ...after] },
        { input: dy.shape, filters: [channels!, out!, ...taps], output: type!.shape },
        { direct: to.decides(node) },
      );
    }
    // The cells that a stride left out at the end come back as output padding.
    const missing = sizes.map(
      (size, i) => size + pads[i]! + pads[n + i]! - (outputs[i]! - 1) * strides[i]! - reach[i]! - 1,
    );
    return to.one("ConvTranspose", inputs, {
      ...windowAttributes(attrs),
      output_padding: ints(missing),
      group: int(attrs.groups),
    });
  }),
  // A product per tap of the cotangent with the cells under that tap, the batch innermost so that the cells are copied in
  // long runs. Taps of few channels share a product.
  convFilterGrad: onlyWhere(
    (node) => isFloat32(node) && node.attrs.groups === 1,
    (to, [x, dy], attrs: ConvAttrs, [type], node) => {
      const shapes = { input: node.inputs[0]!.shape, output: node.inputs[1]!.shape };
      const whole = { ...shapes, filters: type!.shape };
      if (hasFewPlaces(to, attrs, whole)) return fewPlacesFilterGradient(to, [x!, dy!], attrs, whole);
      if (isFilterGradientFasterInTiles(to, attrs, whole)) return filterGradientInTiles(to, [x!, dy!], attrs, whole);
      const better =
        blockedFilterGradient(to, [x!, dy!], attrs, shapes) ?? imagewiseFilterGradient(to, [x!, dy!], attrs, shapes);
      if (better !== undefined) return better;
      const { kernel, strides, dilations, pads } = attrs;
      const outputs = node.inputs[1]!.shape.slice(2);
      const n = kernel.length;
      const [filters, channels] = type!.shape as [number, number];
      const turned = { perm: ints([1, ...Array.from({ length: n }, (_, i) => i + 2), 0]) };
      const rows = to.one("Reshape", [to.one("Transpose", [dy!], turned), to.ints([filters, -1])]);
      const image = to.one("Transpose", [x!], turned);
      const edge = [0, ...pads.slice(0, n), 0, 0, ...pads.slice(n), 0];
      const padded = pads.every((pad) => pad === 0)
        ? image
        : to.one("Pad", [image, to.ints(edge), scalar(to, "float32", 0)]);
      const taps = Array.from({ length: sizeOf(kernel) }, (_, tap) => {
        const start = tapOf(tap, kernel).map((at, i) => at * dilations[i]!);
        const end = start.map((from, i) => from + (outputs[i]! - 1) * strides[i]! + 1);
        const axes = start.map((_, i) => i + 1);
        return to.one("Slice", [padded, to.ints(start), to.ints(end), to.ints(axes), to.ints(strides)]);
      });
      const together = Math.ceil(32 / channels);
      const products: string[] = [];
      for (let first = 0; first < taps.length; first += together) {
        const some = taps.slice(first, first + together);
        const cells = some.length === 1 ? some[0]! : to.one("Concat", some, { axis: int(0) });
        const columns = to.one("Reshape", [cells, to.ints([some.length * channels, -1])]);
        const product = to.one("Gemm", [rows, columns], { transA: int(0), transB: int(1) });
        products.push(to.one("Reshape", [product, to.ints([filters, some.length, channels])]));
      }
      const all = products.length === 1 ? products[0]! : to.one("Concat", products, { axis: int(1) });
      return to.one("Reshape", [to.one("Transpose", [all], { perm: ints([0, 2, 1]) }), to.ints(type!.shape)]);
    },
  ),
  unfold: (to, [x], attrs, [type], node) => {
    const { kernel, strides, dilations, pads, value } = attrs;
    const { shape, dtype } = node.inputs[0]!;
    const n = kernel.length;
    const lead = shape.length - n;
    const zeros = Array<number>(lead).fill(0);
    const padded = pads.every((pad) => pad === 0)
      ? x!
      : to.one("Pad", [
          x!,
          to.ints([...zeros, ...pads.slice(0, n), ...zeros, ...pads.slice(n)]),
          scalar(to, dtype, Number(value)),
        ]);
    const outputs = windowOutputs(shape.slice(lead), attrs);
    const axes = to.ints(kernel.map((_, i) => lead + i));
    const taps = Array.from({ length: sizeOf(kernel) }, (_, tap) => {
      const starts = tapOf(tap, kernel).map((k, i) => k * dilations[i]!);
      const ends = starts.map((start, i) => start + (outputs[i]! - 1) * strides[i]! + 1);
      return to.one("Slice", [padded, to.ints(starts), to.ints(ends), axes, to.ints(strides)]);
    });
    const joined = taps.length === 1 ? taps[0]! : to.one("Concat", taps, { axis: int(0) });
    return to.one("Reshape", [joined, to.ints(type!.shape)]);
  },
  fold: (to, [x], attrs, [type], node) => {
    const { kernel, strides, dilations, pads, sizes } = attrs;
    const { shape, dtype } = node.inputs[0]!;
    const n = kernel.length;
    const lead = shape.slice(1, shape.length - n);
    const outputs = shape.slice(shape.length - n);
    const zeros = lead.map(() => 0);
    const zero = scalar(to, dtype, 0);
    // Each tap's cells, spread to the stride, placed at the tap's offset (cropped by negative pads), and added.
    const placed = Array.from({ length: sizeOf(kernel) }, (_, tap) => {
      const one = to.one("Slice", [x!, to.ints([tap]), to.ints([tap + 1]), to.ints([0])]);
      let spread = to.one("Reshape", [one, to.ints([...lead, ...outputs.flatMap((size) => [size, 1])])]);
      const gaps = strides.flatMap((stride) => [0, stride - 1]);
      if (strides.some((stride) => stride > 1)) {
        spread = to.one("Pad", [
          spread,
          to.ints([...zeros, ...outputs.flatMap(() => [0, 0]), ...zeros, ...gaps]),
          zero,
        ]);
      }
      const wide = outputs.map((size, i) => size * strides[i]!);
      const flat = to.one("Reshape", [spread, to.ints([...lead, ...wide])]);
      const before = tapOf(tap, kernel).map((k, i) => k * dilations[i]! - pads[i]!);
      const after = sizes.map((size, i) => size - before[i]! - wide[i]!);
      return to.one("Pad", [flat, to.ints([...zeros, ...before, ...zeros, ...after]), zero]);
    });
    const sum = placed.reduce((total, next) => to.one("Add", [total, next]));
    return to.one("Reshape", [sum, to.ints(type!.shape)]);
  },
  maxPool: (to, inputs, attrs) => to.nodeOf("MaxPool", inputs, windowAttributes(attrs), { outputs: 2 }),
  maxUnpool: (to, [dy, index], attrs, [type], node) => {
    if (node.inputs[0]!.dtype === "float32" && isApart(attrs))
      return to.one("MaxUnpool", [dy!, index!, to.ints(type!.shape)], {
        kernel_shape: ints(attrs.kernel),
        strides: ints(attrs.strides),
        pads: ints(attrs.pads),
      });
    const size = sizeOf(type!.shape);
    const zeros = to.one("Expand", [scalar(to, type!.dtype, 0, [1]), to.ints([size])]);
    const flat = (value: string): string => to.one("Reshape", [value, to.ints([-1])]);
    const sum = to.one("ScatterElements", [zeros, flat(index!), flat(dy!)], {
      axis: int(0),
      reduction: { string: "add" },
    });
    return to.one("Reshape", [sum, to.ints(type!.shape)]);
  },
  avgPool: onlyWhere(isFloat32, (to, inputs, attrs: Window) =>
    to.one("AveragePool", inputs, { ...windowAttributes(attrs), count_include_pad: int(0) }),
  ),
  // A copy a tap of each share, added at their places by one kernel: AlexNet's three at batch 32 take 16 ms, folded tap by tap 390.
  avgPoolGrad: onlyWhere(
    (node) => {
      const attrs = node.attrs as AvgPoolGradAttrs;
      return isFloat32(node) && attrs.kernel.length === 2 && !isOneWindow(attrs);
    },
    (to, [dy], { sizes, ...attrs }: AvgPoolGradAttrs, [type], node) => {
      const { kernel, strides, dilations, pads } = attrs;
      const [rows, columns] = tapsInside(sizes, attrs) as [number[], number[]];
      const taps = sizeOf(kernel);
      const inside = new Float32Array(rows.flatMap((row) => columns.map((column) => row * column)));
      const count = inside.every((one) => one === taps)
        ? scalar(to, "float32", taps)
        : to.tensor({ dtype: "float32", shape: [rows.length, columns.length], data: inside });
      const shares = to.one("Div", [dy!, count]);
      const images = sizeOf(node.inputs[0]!.shape.slice(0, -2));
      const apart = to.one("Reshape", [shares, to.ints([images, 1, inside.length])]);
      const copies = to.one("Expand", [apart, to.ints([images, taps, inside.length])]);
      const whole = to.one(
        "Col2Im",
        [to.one("Reshape", [copies, to.ints([1, images * taps, inside.length])]), to.ints(sizes), to.ints(kernel)],
        {
          strides: ints(strides),
          dilations: ints(dilations),
          pads: ints(pads),
        },
      );
      return to.one("Reshape", [whole, to.ints(type!.shape)]);
    },
  ),
} satisfies Partial<Emitters>;

/** Position of tap number `tap` in a kernel. */
function tapOf(tap: number, kernel: readonly number[]): number[] {
  const position = kernel.map(() => 0);
  for (let axis = kernel.length - 1, rest = tap; axis >= 0; axis--) {
    position[axis] = rest % kernel[axis]!;
    rest = Math.floor(rest / kernel[axis]!);
  }
  return position;
}

function scalar(
  to: Lowering,
  dtype: Node["outputs"][number]["dtype"],
  value: number,
  shape: readonly number[] = [],
): string {
  const data = allocate(dtype, 1);
  data[0] = dtype === "int64" ? BigInt(value) : value;
  return to.tensor({ dtype, shape, data });
}
