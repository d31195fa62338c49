import type { Blob } from "../graph/blob.js";
import { emit } from "../graph/trace.js";
import { cast } from "../ops/elementwise.js";
import { segmentSumOp } from "../ops/indexing.js";
import { concat } from "../ops/parts.js";
import { equalGroups } from "../ops/rows.js";

/** The gradient of a table that is only read by `gather`, without the rows that no index names. */
export interface Slices {
  /** The indices, `[n]`, with duplicates. */
  readonly ids: Blob;
  /** For each index the row of `sums` that belongs to it, `[n]`. */
  readonly groups: Blob;
  /** The gradients of the rows, `[n, ...]`: one row for each distinct index, then zeros. */
  readonly sums: Blob;
}

/** What a gradient sums into the rows of a table; undefined where it is made in any other way, or on another axis. */
export function slicesOf(gradient: Blob): Slices | undefined {
  const parts = partsOf(gradient);
  if (parts === undefined) return undefined;
  const all = (blobs: readonly Blob[]): Blob => (blobs.length === 1 ? blobs[0]! : concat(blobs));
  const ids = all(parts.map((part) => (parts.length === 1 ? part.ids : cast(part.ids, "int64"))));
  const groups = equalGroups(ids);
  const sums = emit(segmentSumOp, [all(parts.map((part) => part.rows)), groups], { segments: ids.shape[0]! });
  return { ids, groups, sums };
}

type Part = { readonly ids: Blob; readonly rows: Blob };

function partsOf({ node }: Blob): readonly Part[] | undefined {
  const [first, second] = node.inputs;
  if (node.op === "segmentSum") return [{ rows: first!, ids: second! }];
  // The gradient of gather on axis 0 ends in a transposition that moves nothing.
  if (node.op === "transpose" && (node.attrs.perm as readonly number[]).every((axis, i) => axis === i))
    return partsOf(first!);
  if (node.op !== "add") return undefined;
  const [left, right] = [partsOf(first!), partsOf(second!)];
  return left === undefined || right === undefined ? undefined : [...left, ...right];
}
