import type { Shape } from "../../../core/shape.js";
import type { Node } from "../../../graph/graph.js";
import { samePads, type Window } from "../../../ops/window.js";
import { type Emitter, ints, string, type } from "./context.js";

/** Where each axis of a channels-last image lies in the stored `[N, C, H, W]`, and the way back. */
export const toLast = [0, 2, 3, 1];
export const toFirst = [0, 3, 1, 2];

export const permuted = (shape: Shape, perm: readonly number[]): number[] => perm.map((axis) => shape[axis]!);

/** A row that works on images with channels last. */
export interface ImageEmitter<A> extends Emitter<A> {
  /** The inputs that are given so, with types to match. */
  readonly images: readonly number[];
  /** Whether the result is such an image too. */
  readonly makesImage: boolean;
}
export const onImages = <A>(images: readonly number[], emit: Emitter<A>, makesImage = true): ImageEmitter<A> =>
  Object.assign((...args: Parameters<Emitter<A>>) => emit(...args), { fits: fitsKernel, images, makesImage });

/** What TensorFlow's CPU kernels for windows can do: floats, two spatial axes; `fits` says what more they lack. */
export function fitsKernel({ op, attrs, inputs: [x] }: Node): boolean {
  const { kernel, dilations } = attrs as Window;
  const dense = op.startsWith("conv") || dilations.every((d) => d === 1);
  return kernel.length === 2 && x!.shape.length === 4 && (x!.dtype === "float32" || x!.dtype === "float64") && dense;
}

export const isUnpadded = ({ pads }: Window): boolean => pads.every((p) => p === 0);

/** Whether the window's padding is what TensorFlow calls `SAME`, which puts the odd cell after. */
export const isSame = (sizes: Shape, window: Window): boolean =>
  samePads(sizes, window).every((p, i) => p === window.pads[i]);

/** How a window moves over channels-last images of spatial `sizes`, as attributes. */
export function windowAttributes(dtype: Parameters<typeof type>[0], sizes: Shape, window: Window) {
  const [top, left, bottom, right] = window.pads as readonly [number, number, number, number];
  const named = isUnpadded(window) ? "VALID" : isSame(sizes, window) ? "SAME" : "EXPLICIT";
  return {
    T: type(dtype),
    strides: ints([1, ...window.strides, 1]),
    padding: string(named),
    ...(named === "EXPLICIT" ? { explicit_paddings: ints([0, 0, top, bottom, left, right, 0, 0]) } : {}),
    data_format: string("NHWC"),
  };
}
