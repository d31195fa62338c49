import type { RunState } from "../checkpoint/meta.js";
import type { DType } from "../core/dtype.js";
import type { Shape } from "../core/shape.js";

/** A variable in a model file of any format. */
export interface ModelVariable {
  readonly name: string;
  /** Undefined where the file does not say: in a checkpoint that OneFlow wrote. */
  readonly type: { readonly dtype: DType; readonly shape: Shape } | undefined;
  /** Bytes of the elements that `pieces` gives. */
  readonly bytes: number;
  /** Name of the file of elements in a directory; `out` in other formats. */
  readonly fileName: string;
  /**
   * The little-endian elements in C order, in pieces of `PIECE` bytes, the last one shorter. A piece is good until the next is
   * asked for. `verify` checks the hash where the format has one, at the end.
   */
  pieces(options?: { readonly verify?: boolean }): AsyncIterable<Uint8Array>;
}

export type ModelFormat = "directory" | "safetensors" | "npz";

/** An open model file. */
export interface ModelFile {
  readonly path: string;
  readonly format: ModelFormat;
  /** By name. */
  readonly variables: readonly ModelVariable[];
  /** Seed, call counts and extras, where the format holds them. */
  readonly state: RunState | undefined;
  close(): Promise<void>;
}

/** A variable that is ready to be written. */
export type TypedVariable = ModelVariable & { readonly type: { readonly dtype: DType; readonly shape: Shape } };
