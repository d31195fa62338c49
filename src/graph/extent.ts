import type { Blob } from "./blob.js";

/**
 * What counts of a blob whose size depends on values: the first `count` entries along `axis`. The others are padding up to the
 * blob's shape, its capacity; where the blob leaves a job, the host cuts them off.
 */
export interface Extent {
  readonly axis: number;
  /** An integer blob of shape `[1]`. */
  readonly count: Blob;
}

const extents = new WeakMap<Blob, Extent>();

/** Says of a new blob that only its first `count` entries along `axis` count; returns it. */
export function limit(blob: Blob, axis: number, count: Blob): Blob {
  extents.set(blob, { axis, count });
  return blob;
}

/** What counts of a blob, or undefined where all of it does. */
export function extentOf(blob: Blob): Extent | undefined {
  return extents.get(blob);
}

/** Where an axis of an input that an op leaves whole lies in the result; undefined where it does not leave it whole. */
export type AxisRule<A> = (axis: number, input: Blob, attrs: A, output: Blob, index: number) => number | undefined;

/** The rule of elementwise ops: axes are aligned from the last, and whole where broadcasting does not repeat them. */
export const elementwise: AxisRule<unknown> = (axis, input, _, output) => {
  const at = output.shape.length - input.shape.length + axis;
  return output.shape[at] === input.shape[axis] ? at : undefined;
};

/** Gives the result of an op what counts of its inputs, where they agree on it. */
export function carryExtent<A>(inputs: readonly Blob[], attrs: A, output: Blob, rule: AxisRule<A>): void {
  const found = inputs.flatMap((input, i) => {
    const extent = extents.get(input);
    return extent === undefined ? [] : [{ axis: rule(extent.axis, input, attrs, output, i), count: extent.count }];
  });
  const [first] = found;
  if (first?.axis === undefined) return;
  if (found.every(({ axis, count }) => axis === first.axis && count === first.count))
    limit(output, first.axis, first.count);
}
