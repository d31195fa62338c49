import { checkOptions, FlowError, plainText } from "../core/errors.js";
import { sameShape } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { emit, textOf } from "../graph/trace.js";
import { type Named, named, nameOf, normalizeAxis, op, requireBlob, requireBlobs, requireList } from "./define.js";
import { finite } from "./sources.js";
import { expandDims, reshape } from "./structure.js";

// --- joining -------------------------------------------------------------------------------------------------------

/** Options of `concat`. */
export interface ConcatOptions extends Named {
  /** The axis along which the inputs follow each other; default 0. */
  readonly axis?: number;
}

/**
 * The inputs one after the other along `axis`; all other dimensions must be equal.
 * @flow concat
 * @example
 * ```ts job
 * // x = [[1, 2]]
 * // y = [[3, 4]]
 * flow.concat([x, y]); // -> [[1, 2], [3, 4]]
 * flow.concat([x, y], { axis: 1 }); // -> [[1, 2, 3, 4]]
 * ```
 */
export function concat(inputs: readonly Blob[], options: ConcatOptions = {}): Blob {
  const { axis = 0, name } = checkOptions("concat", options, ["axis", "name"]);
  requireBlobs("concat", "inputs", inputs);
  const at = normalizeAxis("concat", inputs[0].shape.length, axis);
  return inputs.length === 1 ? inputs[0] : emit(concatOp, inputs, { axis: at }, name);
}
export const concatOp = op("concat", {
  infer: (inputs, { axis }: { readonly axis: number }): BlobType => {
    const [first] = inputs as readonly [Blob];
    const others = (x: Blob): number[] => x.shape.filter((_, i) => i !== axis);
    const odd = inputs.find((x) => x.dtype !== first.dtype || !sameShape(others(x), others(first)));
    if (odd !== undefined)
      throw new FlowError(
        odd.dtype === first.dtype ? "E_SHAPE" : "E_DTYPE",
        `concat: got ${textOf(first)} and ${textOf(odd)}, expected equal dtypes and dimensions but for axis ${axis}`,
      );
    const length = inputs.reduce((sum, x) => sum + x.shape[axis]!, 0);
    return { dtype: first.dtype, shape: first.shape.map((d, i) => (i === axis ? length : d)) };
  },
  grad: ({ inputs, dy, attrs: { axis } }) => {
    let start = 0;
    return inputs.map((x) => {
      const length = x.shape[axis]!;
      start += length;
      return range(dy, axis, start - length, length);
    });
  },
  axisOf: (axis, _, attrs) => (axis === attrs.axis ? undefined : axis),
});

/**
 * The inputs, of one shape, along a new axis. (v0.2 refused every axis.)
 * @flow stack
 * @example
 * ```ts job
 * // x = [1, 2]
 * flow.stack([x, x], 1); // -> [[1, 1], [2, 2]]
 * ```
 */
export function stack(inputs: readonly Blob[], axis = 0, options?: Named): Blob {
  const last = named("stack", options);
  requireBlobs("stack", "inputs", inputs);
  const at = normalizeAxis("stack", inputs[0].shape.length + 1, axis);
  const odd = inputs.find((x) => x.dtype !== inputs[0].dtype || !sameShape(x.shape, inputs[0].shape));
  if (odd !== undefined)
    throw new FlowError(
      odd.dtype === inputs[0].dtype ? "E_SHAPE" : "E_DTYPE",
      `stack: got ${textOf(inputs[0])} and ${textOf(odd)}, expected equal dtypes and shapes`,
    );
  return concat(
    inputs.map((x) => expandDims(x, axis)),
    { ...last, axis: at },
  );
}

// --- cutting -------------------------------------------------------------------------------------------------------

/** Per axis: the first index, how many, and the step between them. */
export type SliceAttrs = {
  readonly starts: readonly number[];
  readonly sizes: readonly number[];
  readonly steps: readonly number[];
};

/**
 * The part of `x` that begins at `begin` and has `size`, for each axis. Begin null is 0, negative counts from the end;
 * size null or -1 goes to the end.
 * @flow slice
 * @example
 * ```ts job
 * // x = [[1, 2, 3], [4, 5, 6]]
 * flow.slice(x, [0, 1], [-1, 2]); // -> [[2, 3], [5, 6]]
 * ```
 */
export function slice(
  x: Blob,
  begin: readonly (number | null)[],
  size: readonly (number | null)[],
  options?: Named,
): Blob {
  const name = nameOf("slice", options);
  requireBlob("slice", "x", x);
  requireList("slice", "begin", begin);
  requireList("slice", "size", size);
  const rank = x.shape.length;
  if (begin.length !== rank || size.length !== rank)
    throw new FlowError(
      "E_ARGUMENT",
      `slice: got begin ${plainText(begin)} and size ${plainText(size)}, expected one for each of the ${rank} axes of ${textOf(x)}`,
    );
  const starts = begin.map((b, i) => (b ?? 0) + ((b ?? 0) < 0 ? x.shape[i]! : 0));
  const sizes = size.map((s, i) => (s === null || s === -1 ? x.shape[i]! - starts[i]! : s));
  for (const [i, d] of x.shape.entries()) {
    const [start, count] = [starts[i]!, sizes[i]!];
    if (!(Number.isInteger(start) && Number.isInteger(count) && start >= 0 && count > 0 && start + count <= d))
      throw new FlowError(
        "E_ARGUMENT",
        `slice: begin ${plainText(begin[i])} and size ${plainText(size[i])} on axis ${i} lie outside its ${d} elements of ${textOf(x)}; expected integers, a size of at least 1 and begin + size of at most ${d}`,
      );
  }
  return emit(sliceOp, [x], { starts, sizes, steps: starts.map(() => 1) }, name);
}

/** `[start, stop, step]`, null for the documented defaults (the whole axis, step 1). */
export type SliceRange = readonly [start: number | null, stop: number | null, step: number | null];

/**
 * Python's `x[start:stop:step]` for each axis; axes that are left out stay whole. start lies in [-d, d), stop in [-d -
 * 1, d], step is not 0 and may be negative; at least one element must be left.
 * @flow slice_v2
 * @example
 * ```ts job
 * // x = [[1, 2, 3], [4, 5, 6]]
 * flow.sliceV2(x, [[null, null, -1], [0, 3, 2]]); // -> [[4, 6], [1, 3]]
 * ```
 */
export function sliceV2(x: Blob, ranges: readonly SliceRange[], options?: Named): Blob {
  const name = nameOf("sliceV2", options);
  requireBlob("sliceV2", "x", x);
  requireList("sliceV2", "ranges", ranges);
  for (const [i, range] of ranges.entries()) requireList("sliceV2", `ranges[${i}]`, range);
  if (ranges.length > x.shape.length)
    throw new FlowError(
      "E_ARGUMENT",
      `sliceV2: got ${ranges.length} ranges, ${textOf(x)} has ${x.shape.length} axes only`,
    );
  const parts = x.shape.map((d, axis) => {
    const [start, stop, step] = ranges[axis] ?? [null, null, null];
    const by = step ?? 1;
    const fail = (why: string): never => {
      throw new FlowError("E_ARGUMENT", `sliceV2: range ${plainText([start, stop, step])} of axis ${axis}: ${why}`);
    };
    if (!Number.isInteger(by) || by === 0) fail("the step must be an integer other than 0");
    if (start !== null && !(Number.isInteger(start) && start >= -d && start < d))
      fail(`start must lie in [-${d}, ${d - 1}]`);
    if (stop !== null && !(Number.isInteger(stop) && stop >= -d - 1 && stop <= d))
      fail(`stop must lie in [-${d + 1}, ${d}]`);
    const first = start === null ? (by > 0 ? 0 : d - 1) : start < 0 ? start + d : start;
    const end = stop === null ? (by > 0 ? d : -1) : stop < 0 ? stop + d : stop;
    const size = Math.ceil((end - first) / by);
    if (size < 1) fail("it holds no element");
    return { first, size, by };
  });
  return emit(
    sliceOp,
    [x],
    { starts: parts.map((p) => p.first), sizes: parts.map((p) => p.size), steps: parts.map((p) => p.by) },
    name,
  );
}

/** `x` backwards along each of `axis`.  @flow reverse */
export function reverse(input: Blob, axis: number | readonly number[], options?: Named): Blob {
  const last = named("reverse", options);
  requireBlob("reverse", "input", input);
  const given = typeof axis === "number" ? [axis] : axis;
  requireList("reverse", "axis", given);
  const axes = given.map((a) => normalizeAxis("reverse", input.shape.length, a));
  const whole: SliceRange = [null, null, null];
  return sliceV2(
    input,
    input.shape.map((_, i) => (axes.includes(i) ? [null, null, -1] : whole)),
    last,
  );
}

export const sliceOp = op("slice", {
  infer: ([x], { sizes }: SliceAttrs): BlobType => ({ dtype: x!.dtype, shape: sizes }),
  axisOf: (axis, x, { sizes, steps }) => (sizes[axis] === x.shape[axis] && steps[axis] === 1 ? axis : undefined),
  // Elements go back to their places: zeros between those of a step, then before and after.
  grad: ({ inputs: [x], dy, attrs: { starts, sizes, steps } }) => {
    const backward = steps.flatMap((step, axis) => (step < 0 ? [axis] : []));
    let spread = backward.length > 0 ? reverse(dy, backward) : dy;
    const before = starts.map((start, i) => (steps[i]! < 0 ? start + (sizes[i]! - 1) * steps[i]! : start));
    for (const [axis, step] of steps.entries()) {
      if (Math.abs(step) > 1 && sizes[axis]! > 1) spread = spaced(spread, axis, Math.abs(step));
    }
    return [
      pad(
        spread,
        before.map((b, i) => [b, x!.shape[i]! - b - spread.shape[i]!]),
      ),
    ];
  },
});

/** `step - 1` zeros between neighbours along `axis`. */
function spaced(x: Blob, axis: number, step: number): Blob {
  const cells = expandDims(x, axis + 1);
  const padded = pad(
    cells,
    cells.shape.map((_, i) => [0, i === axis + 1 ? step - 1 : 0]),
  );
  const length = x.shape[axis]! * step;
  const joined = reshape(
    padded,
    x.shape.map((d, i) => (i === axis ? length : d)),
  );
  return range(joined, axis, 0, length - step + 1);
}

/** `length` elements of `axis` from `start`. */
export function range(x: Blob, axis: number, start: number, length: number): Blob {
  const starts = x.shape.map((_, i) => (i === axis ? start : 0));
  const sizes = x.shape.map((d, i) => (i === axis ? length : d));
  return sameShape(sizes, x.shape) ? x : emit(sliceOp, [x], { starts, sizes, steps: starts.map(() => 1) });
}

// --- padding -------------------------------------------------------------------------------------------------------

/** Options of `pad`. */
export interface PadOptions extends Named {
  /** Default 0. */
  readonly constantValue?: number;
}

/**
 * `x` with `[before, after]` more elements on each axis, all `constantValue`.
 * @flow pad
 * @example
 * ```ts job
 * // x = [1, 2]
 * flow.pad(x, [[1, 2]]); // -> [0, 1, 2, 0, 0]
 * ```
 */
export function pad(x: Blob, paddings: readonly (readonly [number, number])[], options: PadOptions = {}): Blob {
  const { constantValue = 0, name } = checkOptions("pad", options, ["constantValue", "name"]);
  requirePaddings("pad", x, paddings);
  const [before, after] = [paddings.map((p) => p[0]), paddings.map((p) => p[1])];
  if ([...before, ...after].every((n) => n === 0)) return x;
  return emit(padOp, [x], { before, after, value: finite(constantValue) }, name);
}

function requirePaddings(where: string, x: Blob, paddings: readonly (readonly [number, number])[]): void {
  requireBlob(where, "x", x);
  requireList(where, "paddings", paddings);
  if (
    paddings.length !== x.shape.length ||
    !paddings.every((p) => Array.isArray(p) && p.length === 2 && p.every((n) => Number.isInteger(n) && n >= 0))
  )
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: paddings are ${plainText(paddings)}, expected [before, after] of at least 0 for each axis of ${textOf(x)}`,
    );
}

/**
 * The gradient of `pad`: `x` without `[before, after]` elements on each axis. `constantValue` is accepted as documented; it
 * changes nothing.
 * @flow pad_grad
 * @example
 * ```ts job
 * // x = [1, 2, 3, 4]
 * flow.padGrad(x, [[1, 2]]); // -> [2]
 * ```
 */
export function padGrad(x: Blob, paddings: readonly (readonly [number, number])[], options: PadOptions = {}): Blob {
  const { name } = checkOptions("padGrad", options, ["constantValue", "name"]);
  requirePaddings("padGrad", x, paddings);
  const sizes = x.shape.map((size, i) => size - paddings[i]![0] - paddings[i]![1]);
  if (sizes.some((size) => size < 1))
    throw new FlowError(
      "E_SHAPE",
      `padGrad: paddings ${plainText(paddings)} leave nothing of ${textOf(x)}; x is what pad gave, or its gradient`,
    );
  const begin = paddings.map(([before]) => before);
  return slice(x, begin, sizes, name === undefined ? {} : { name });
}

export type PadAttrs = {
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly value: number | string;
};
export const padOp = op("pad", {
  infer: ([x], { before, after }: PadAttrs): BlobType => ({
    dtype: x!.dtype,
    shape: x!.shape.map((d, i) => before[i]! + d + after[i]!),
  }),
  grad: ({ inputs: [x], dy, attrs: { before } }) => [slice(dy, before, x!.shape)],
});
