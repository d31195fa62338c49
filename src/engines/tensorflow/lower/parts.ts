import type { DType } from "../../../core/dtype.js";
import { type Emitters, int, type Lowering, type } from "./context.js";

/** `inputs` joined along an axis. */
export function concat(to: Lowering, inputs: readonly string[], dtype: DType, axis: number): string {
  if (inputs.length === 1) return inputs[0]!;
  return to.one("ConcatV2", [...inputs, to.scalar("int32", axis)], {
    N: int(inputs.length),
    T: type(dtype),
    Tidx: type("int32"),
  });
}

/** `x` with so many elements of `value` before and after on each axis; nothing where there are none. */
export function pad(
  to: Lowering,
  x: string,
  dtype: DType,
  before: readonly number[],
  after: readonly number[],
  value: number,
): string {
  if ([...before, ...after].every((n) => n === 0)) return x;
  const pairs = Int32Array.from(before.flatMap((n, axis) => [n, after[axis]!]));
  const paddings = to.tensor({ dtype: "int32", shape: [before.length, 2], data: pairs });
  return to.one("PadV2", [x, paddings, to.scalar(dtype, value)], { T: type(dtype), Tpaddings: type("int32") });
}

/** Of each axis `size` elements from `start` on, `step` apart; steps may be negative. */
export function slice(
  to: Lowering,
  x: string,
  dtype: DType,
  { starts, sizes, steps }: Record<"starts" | "sizes" | "steps", readonly number[]>,
): string {
  const ends = starts.map((start, i) => start + sizes[i]! * steps[i]!);
  // A backward slice that takes element 0 has no end: -1 would count from the other side.
  const open = ends.reduce((mask, end, i) => (end < 0 ? mask | (1 << i) : mask), 0);
  return to.one("StridedSlice", [x, to.ints(starts), to.ints(ends.map((end) => Math.max(end, 0))), to.ints(steps)], {
    T: type(dtype),
    Index: type("int32"),
    begin_mask: int(0),
    end_mask: int(open),
    ellipsis_mask: int(0),
    new_axis_mask: int(0),
    shrink_axis_mask: int(0),
  });
}

export const parts = {
  concat: (to, inputs, { axis }, [out]) => concat(to, inputs, out!.dtype, axis),
  pad: (to, [x], { before, after, value }, [out]) => pad(to, x!, out!.dtype, before, after, Number(value)),
  slice: (to, [x], attrs, [out]) => slice(to, x!, out!.dtype, attrs),
} satisfies Partial<Emitters>;
