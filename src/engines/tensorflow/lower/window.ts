import type { DType } from "../../../core/dtype.js";
import { type Shape, sizeOf, stridesOf } from "../../../core/shape.js";
import { type Window, windowOutputs } from "../../../ops/window.js";
import { type Emitters, type Lowering, type } from "./context.js";
import { concat, pad, slice } from "./parts.js";

/** Position of tap number `tap` in a kernel. */
function tapOf(tap: number, kernel: readonly number[]): number[] {
  return stridesOf(kernel).map((step, axis) => Math.floor(tap / step) % kernel[axis]!);
}

/** The cells under each tap, tap by tap: arrays of the leading axes and the window's places. */
function tapsOf(to: Lowering, x: string, dtype: DType, shape: Shape, window: Window, filler: number): string[] {
  const { kernel, strides, dilations, pads } = window;
  const n = kernel.length;
  const lead = shape.slice(0, shape.length - n);
  const none = lead.map(() => 0);
  const padded = pad(to, x, dtype, [...none, ...pads.slice(0, n)], [...none, ...pads.slice(n)], filler);
  const outputs = windowOutputs(shape.slice(lead.length), window);
  return Array.from({ length: sizeOf(kernel) }, (_, tap) =>
    slice(to, padded, dtype, {
      starts: [...none, ...tapOf(tap, kernel).map((k, i) => k * dilations[i]!)],
      sizes: [...lead, ...outputs],
      steps: [...lead.map(() => 1), ...strides],
    }),
  );
}

/** Of each place of a window the number of the cell under a tap, counted within an image; -1 outside. */
function cellsOf(tap: number, sizes: Shape, window: Window): Int32Array<ArrayBuffer> {
  const { kernel, strides, dilations, pads } = window;
  const outputs = windowOutputs(sizes, window);
  const [places, cells] = [stridesOf(outputs), stridesOf(sizes)];
  const position = tapOf(tap, kernel);
  return Int32Array.from({ length: sizeOf(outputs) }, (_, place) => {
    let cell = 0;
    for (const [i, size] of sizes.entries()) {
      const at = (Math.floor(place / places[i]!) % outputs[i]!) * strides[i]! + position[i]! * dilations[i]! - pads[i]!;
      if (at < 0 || at >= size) return -1;
      cell += at * cells[i]!;
    }
    return cell;
  });
}

export const window = {
  unfold: (to, [x], attrs, [out], node) => {
    const { shape, dtype } = node.inputs[0]!;
    const taps = tapsOf(to, x!, dtype, shape, attrs, Number(attrs.value));
    return to.reshape(concat(to, taps, dtype, 0), dtype, out!.shape);
  },
  fold: (to, [x], attrs, [out], node) => {
    const { kernel, strides, dilations, pads, sizes } = attrs;
    const { shape, dtype } = node.inputs[0]!;
    const n = kernel.length;
    // The leading axes as one: each spatial axis becomes two below, and the kernels take ranks up to 8 only.
    const lead = [sizeOf(shape.slice(1, shape.length - n))];
    const outputs = shape.slice(shape.length - n);
    const none = [0];
    const ones = [1];
    const all = to.reshape(x!, dtype, [shape[0]!, ...lead, ...outputs]);
    // Each tap's cells, spread to the stride, placed at the tap's offset or cut off where they lie outside, and added.
    const placed = Array.from({ length: sizeOf(kernel) }, (_, tap) => {
      const cells = slice(to, all, dtype, {
        starts: [tap, ...none, ...outputs.map(() => 0)],
        sizes: [1, ...lead, ...outputs],
        steps: [1, ...ones, ...outputs.map(() => 1)],
      });
      const split = to.reshape(cells, dtype, [...lead, ...outputs.flatMap((size) => [size, 1])]);
      const gaps = [...none, ...strides.flatMap((stride) => [0, stride - 1])];
      const spread = pad(to, split, dtype, [...none, ...strides.flatMap(() => [0, 0])], gaps, 0);
      const wide = outputs.map((size, i) => size * strides[i]!);
      const flat = to.reshape(spread, dtype, [...lead, ...wide]);
      const before = tapOf(tap, kernel).map((k, i) => k * dilations[i]! - pads[i]!);
      const starts = before.map((b, i) => Math.min(wide[i]!, Math.max(0, -b)));
      const ends = before.map((b, i) => Math.max(starts[i]!, Math.min(wide[i]!, sizes[i]! - b)));
      const kept = starts.map((start, i) => ends[i]! - start);
      const inside = slice(to, flat, dtype, {
        starts: [...none, ...starts],
        sizes: [...lead, ...kept],
        steps: [...ones, ...starts.map(() => 1)],
      });
      const left = before.map((b, i) => Math.min(sizes[i]! - kept[i]!, Math.max(0, b)));
      const right = sizes.map((size, i) => size - left[i]! - kept[i]!);
      return pad(to, inside, dtype, [...none, ...left], [...none, ...right], 0);
    });
    const sum = placed.reduce((total, next) => to.one("AddV2", [total, next], { T: type(dtype) }));
    return to.reshape(sum, dtype, out!.shape);
  },
  // The first maximum of the cells inside, tap by tap: the kernels have no padding of their own, no dilation and floats only.
  maxPool: (to, [x], attrs, [out], node) => {
    const { shape, dtype } = node.inputs[0]!;
    const n = attrs.kernel.length;
    const sizes = shape.slice(shape.length - n);
    const outputs = out!.shape.slice(shape.length - n);
    const T = type(dtype);
    const padded = attrs.pads.some((p) => p > 0);
    const taps = tapsOf(to, x!, dtype, shape, attrs, dtype.startsWith("float") ? -Infinity : 0);
    const cells = taps.map((_, tap) => cellsOf(tap, sizes, attrs));
    const constant = (data: Int32Array<ArrayBuffer>): string => to.tensor({ dtype: "int32", shape: outputs, data });
    const isInside = (data: Int32Array): Uint8Array<ArrayBuffer> => Uint8Array.from(data, (cell) => Number(cell >= 0));
    let best = taps[0]!;
    let cell = to.one("BroadcastTo", [constant(cells[0]!), to.ints(out!.shape)], { T: type("int32") });
    for (const [tap, value] of taps.entries()) {
      if (tap === 0) continue;
      let better = to.one("Greater", [value, best], { T });
      if (padded) {
        const none = to.one("Less", [cell, to.scalar("int32", 0)], { T: type("int32") });
        const inside = to.tensor({ dtype: "bool", shape: outputs, data: isInside(cells[tap]!) });
        better = to.one("LogicalAnd", [to.one("LogicalOr", [better, none]), inside]);
      }
      best = to.one("SelectV2", [better, value, best], { T });
      cell = to.one("SelectV2", [better, constant(cells[tap]!), cell], { T: type("int32") });
    }
    const images = shape.slice(0, shape.length - n);
    const starts = BigInt64Array.from({ length: sizeOf(images) }, (_, i) => BigInt(i * sizeOf(sizes)));
    const first = to.tensor({ dtype: "int64", shape: [...images, ...sizes.map(() => 1)], data: starts });
    return [best, to.one("AddV2", [to.cast(cell, "int32", "int64"), first], { T: type("int64") })];
  },
  maxUnpool: (to, [dy, index], _, [out], node) => {
    const { dtype, shape } = node.inputs[0]!;
    const size = sizeOf(shape);
    const sums = to.one(
      "UnsortedSegmentSum",
      [to.reshape(dy!, dtype, [size]), to.reshape(index!, "int64", [size]), to.scalar("int32", sizeOf(out!.shape))],
      { T: type(dtype), Tindices: type("int64"), Tnumsegments: type("int32") },
    );
    return to.reshape(sums, dtype, out!.shape);
  },
} satisfies Partial<Emitters>;
