import type { Blob, BlobType } from "../graph/blob.js";
import { emit } from "../graph/trace.js";
import { op } from "./define.js";

// What updates of single rows of a table are made of. Ids are of rank 1 and known to lie within the table.

/** For each of the ids the number of its group of equal ones, int32; groups are counted as they first appear. */
export const equalGroups = (ids: Blob): Blob => emit(equalGroupsOp, [ids], {});
export const equalGroupsOp = op("equalGroups", {
  infer: ([ids]): BlobType => ({ dtype: "int32", shape: ids!.shape }),
  grad: "stop",
});

/** `table` with row `ids[i]` replaced by `rows[i]`; equal ids must come with equal rows. */
export const replaceRows = (table: Blob, ids: Blob, rows: Blob): Blob => emit(replaceRowsOp, [table, ids, rows], {});
export const replaceRowsOp = op("replaceRows", {
  infer: ([table]): BlobType => ({ dtype: table!.dtype, shape: table!.shape }),
  grad: "stop",
});
