/** Dimensions, outermost first; never empty in a graph (a scalar is `[1]`). */
export type Shape = readonly number[];

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** C-order strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  for (let axis = shape.length - 1, step = 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis]!;
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}

/** The numpy-style common shape, or the (right-aligned) dimension counted from the left of the longer shape that does not fit. */
export function broadcastShapes(a: Shape, b: Shape): { readonly shape: Shape } | { readonly conflict: number } {
  const rank = Math.max(a.length, b.length);
  const shape = new Array<number>(rank);
  for (let axis = 0; axis < rank; axis++) {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) return { conflict: axis };
    shape[axis] = left === 1 ? right : left;
  }
  return { shape };
}

/** `float32[2,3]`, as graphs and errors write it. */
export function typeText(dtype: string, shape: Shape): string {
  return `${dtype}[${shape.join(",")}]`;
}
