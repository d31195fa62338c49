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

/** Gives the result of an elementwise op what counts of its operands, where they agree on it. */
export function carryExtent(inputs: readonly Blob[], output: Blob): void {
  const found = inputs.flatMap((input) => {
    const extent = extents.get(input);
    if (extent === undefined) return [];
    const axis = output.shape.length - input.shape.length + extent.axis;
    return [{ axis, count: extent.count, whole: output.shape[axis] === input.shape[extent.axis] }];
  });
  const [first] = found;
  if (first === undefined) return;
  if (found.every(({ axis, count, whole }) => whole && axis === first.axis && count === first.count))
    limit(output, first.axis, first.count);
}
