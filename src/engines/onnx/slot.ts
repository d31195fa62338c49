import type { BlobType } from "../../graph/blob.js";
import type { Value } from "./session/runtime.js";

/** A variable's buffers: a successful step writes `spare` and swaps, or writes `current` itself where that is safe. */
export interface Slot {
  readonly type: BlobType;
  current: Value;
  spare: Value | undefined;
}
