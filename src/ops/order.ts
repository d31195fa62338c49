import { checkOptions, FlowError, textOfValue } from "../core/errors.js";
import { sizeOf } from "../core/shape.js";
import type { Blob } from "../graph/blob.js";
import { emit, textOf } from "../graph/trace.js";
import { type Named, requireBlob } from "./define.js";
import { add, cast, holds, multiply, negative, notEqualOp, subtract } from "./elementwise.js";
import { gatherRows, topKOp } from "./indexing.js";
import { pad, range } from "./parts.js";
import { iota } from "./sources.js";
import { reshape } from "./structure.js";

/** The order of `sort` and `argsort`. */
export type SortDirection = "ASCENDING" | "DESCENDING";

/** Options of `sort` and `argsort`. */
export interface SortOptions extends Named {
  /** Default "ASCENDING". */
  readonly direction?: SortDirection;
}

/**
 * The last axis in order. The gradient goes back to where each element came from. (v0.2 let none through.)
 * @flow sort
 * @example
 * ```ts job
 * // x = [[3, 1, 2], [5, 5, 4]]
 * flow.sort(x); // -> [[1, 2, 3], [4, 5, 5]]
 * flow.sort(x, { direction: "DESCENDING" }); // -> [[3, 2, 1], [5, 5, 4]]
 * ```
 */
export function sort(input: Blob, options: SortOptions = {}): Blob {
  const { direction, name } = sorting("sort", input, options);
  const count = input.shape.at(-1)!;
  const order = orderOf(input, direction);
  if (input.shape.length === 1) return gatherRows(input, order, name);
  const rows = sizeOf(input.shape) / count;
  const places = add(reshape(order, [rows, count]), multiply(iota([rows, 1], 0, "int32"), count));
  const sorted = gatherRows(reshape(input, [rows * count]), reshape(places, [rows * count]));
  return reshape(sorted, input.shape, name === undefined ? {} : { name });
}

/**
 * Where each element of the sorted last axis stands in `input`, int32; of equals the one with the lower index comes first.
 * @flow argsort
 * @example
 * ```ts job
 * // x = [[3, 1, 2], [5, 5, 4]]
 * flow.argsort(x); // -> [[1, 2, 0], [2, 0, 1]]
 * flow.argsort(x, { direction: "DESCENDING" }); // -> [[0, 2, 1], [0, 1, 2]]
 * ```
 */
export function argsort(input: Blob, options: SortOptions = {}): Blob {
  const { direction, name } = sorting("argsort", input, options);
  return orderOf(input, direction, name);
}

function sorting(
  where: string,
  input: Blob,
  options: SortOptions,
): { readonly direction: SortDirection; readonly name: string | undefined } {
  const { direction = "ASCENDING", name } = checkOptions(where, options, ["direction", "name"]);
  requireBlob(where, "input", input);
  if (direction !== "ASCENDING" && direction !== "DESCENDING")
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: direction is ${textOfValue(direction)}, expected "ASCENDING" or "DESCENDING"`,
    );
  if (input.dtype === "bool")
    throw new FlowError("E_DTYPE", `${where}: got ${textOf(input)}, expected numbers; flow.cast it`);
  return { direction, name };
}

/** The stable order of the last axis, int32. */
export function orderOf(x: Blob, direction: SortDirection = "ASCENDING", name?: string): Blob {
  return emit(topKOp, [direction === "DESCENDING" ? x : reversed(x)], { k: x.shape.at(-1)! }, name);
}

/** Numbers in the reverse order of `x`: integers have no -x for their least, but all have -1 - x. */
function reversed(x: Blob): Blob {
  if (x.dtype.startsWith("float")) return negative(x);
  return subtract(x.dtype === "uint8" ? 255 : -1, x);
}

/** Of a rank-1 blob of at least two elements: int32 ones where an element differs from the one before, from the second on. */
export function changes(x: Blob): Blob {
  const count = x.shape[0]! - 1;
  return cast(holds(notEqualOp, range(x, 0, 1, count), range(x, 0, 0, count)), "int32");
}

/** The sum of each element of a rank-1 blob and all before it, by doubling. */
export function runningSum(x: Blob): Blob {
  const count = x.shape[0]!;
  let sum = x;
  for (let reach = 1; reach < count; reach *= 2) sum = add(sum, pad(range(sum, 0, 0, count - reach), [[reach, 0]]));
  return sum;
}
