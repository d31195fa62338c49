import { allocate } from "../../../core/dtype.js";
import { sizeOf } from "../../../core/shape.js";
import type { Node } from "../../../graph/graph.js";
import type { ConvAttrs, ConvInputGradAttrs } from "../../../ops/conv.js";
import { type Window, windowOutputs } from "../../../ops/window.js";
import { type Emitters, int, ints, type Lowering, onlyWhere } from "./context.js";

/** onnxruntime's convolution and average pooling kernels are for float32. */
const isFloat32 = ({ outputs }: Node): boolean => outputs[0]!.dtype === "float32";

const windowAttributes = ({ kernel, strides, dilations, pads }: Window) => ({
  kernel_shape: ints(kernel),
  strides: ints(strides),
  dilations: ints(dilations),
  pads: ints(pads),
});

/** No cell belongs to two windows. */
const isApart = ({ kernel, strides, dilations }: Window): boolean =>
  kernel.every((k, i) => strides[i]! >= (k - 1) * dilations[i]! + 1);

export const window = {
  conv: onlyWhere(isFloat32, (to, inputs, attrs: ConvAttrs) =>
    to.one("Conv", inputs, { ...windowAttributes(attrs), group: int(attrs.groups) }),
  ),
  convInputGrad: onlyWhere(isFloat32, (to, inputs, attrs: ConvInputGradAttrs, _, node) => {
    // The cells that a stride left out at the end come back as output padding.
    const { kernel, strides, dilations, pads, sizes } = attrs;
    const outputs = node.inputs[0]!.shape.slice(2);
    const n = sizes.length;
    const missing = sizes.map(
      (size, i) =>
        size + pads[i]! + pads[n + i]! - (outputs[i]! - 1) * strides[i]! - (kernel[i]! - 1) * dilations[i]! - 1,
    );
    return to.one("ConvTranspose", inputs, {
      ...windowAttributes(attrs),
      output_padding: ints(missing),
      group: int(attrs.groups),
    });
  }),
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
