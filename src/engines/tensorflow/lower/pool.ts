import type { DType } from "../../../core/dtype.js";
import type { Shape } from "../../../core/shape.js";
import { sizeOf } from "../../../core/shape.js";
import type { Window } from "../../../ops/window.js";
import { tapsInside } from "../../../ops/window.js";
import { type Emitters, ints, type Lowering, type } from "./context.js";
import { isSame, isUnpadded, onImages, windowAttributes } from "./images.js";
import { pad, slice } from "./parts.js";

const sizesOf = ([, height, width]: Shape): readonly [number, number] => [height!, width!];

const poolAttributes = (dtype: DType, sizes: Shape, window: Window) => ({
  ...windowAttributes(dtype, sizes, window),
  ksize: ints([1, ...window.kernel, 1]),
});

/** A padding that the average kernels have: they know no other than none and `SAME`, whose cells outside they do not count. */
const averages = (sizes: Shape, window: Window): boolean => isUnpadded(window) || isSame(sizes, window);

/** Of each place: the window's size over its cells inside. */
function corrections(to: Lowering, dtype: DType, sizes: Shape, window: Window): string {
  const [rows, columns] = tapsInside(sizes, window) as [number[], number[]];
  const values = rows.flatMap((row) => columns.map((column) => sizeOf(window.kernel) / (row * column)));
  const data = dtype === "float64" ? Float64Array.from(values) : Float32Array.from(values);
  return to.tensor({ dtype, shape: [1, rows.length, columns.length, 1], data } as Parameters<Lowering["tensor"]>[0]);
}

/** The window over an image that has its padding already. */
const within = (window: Window): Window => ({ ...window, pads: window.pads.map(() => 0) });

export const pool = {
  avgPool: onImages([0], (to, [x], window: Window, [out], node) => {
    const { dtype } = out!;
    const sizes = sizesOf(node.inputs[0]!.shape);
    if (averages(sizes, window)) return to.one("AvgPool", [x!], poolAttributes(dtype, sizes, window));
    const [top, left, bottom, right] = window.pads as readonly [number, number, number, number];
    const padded = pad(to, x!, dtype, [0, top, left, 0], [0, bottom, right, 0], 0);
    const means = to.one("AvgPool", [padded], poolAttributes(dtype, sizes, within(window)));
    return to.one("Mul", [means, corrections(to, dtype, sizes, window)], { T: type(dtype) });
  }),
  avgPoolGrad: onImages([0], (to, [dy], { sizes, ...window }: Window & { readonly sizes: Shape }, [out]) => {
    const { dtype, shape } = out!;
    const [batch, height, width, channels] = shape as readonly [number, number, number, number];
    if (averages(sizes, window))
      return to.one("AvgPoolGrad", [to.ints(shape), dy!], poolAttributes(dtype, sizes, window));
    const [top, left, bottom, right] = window.pads as readonly [number, number, number, number];
    const shares = to.one("Mul", [dy!, corrections(to, dtype, sizes, window)], { T: type(dtype) });
    const padded = [batch, height + top + bottom, width + left + right, channels];
    const attributes = poolAttributes(dtype, sizesOf(padded), within(window));
    const dx = to.one("AvgPoolGrad", [to.ints(padded), shares], attributes);
    return slice(to, dx, dtype, { starts: [0, top, left, 0], sizes: shape, steps: [1, 1, 1, 1] });
  }),
} satisfies Partial<Emitters>;

/** The pools of `rewrite.ts`. */
export const maxPool = onImages([0], (to, [x], window: Window, [out], node) =>
  to.one("MaxPool", [x!], poolAttributes(out!.dtype, sizesOf(node.inputs[0]!.shape), window)),
);
export const maxPoolGrad = onImages([0, 1, 2], (to, inputs, window: Window, [out]) =>
  to.one("MaxPoolGrad", inputs, poolAttributes(out!.dtype, sizesOf(out!.shape), window)),
);
