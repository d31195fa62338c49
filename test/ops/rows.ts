import type { DType } from "#src/core/dtype.js";
import type { Blob } from "#src/graph/blob.js";

/** One input: its shape, and how it is filled. */
export interface Input {
  readonly shape: readonly number[];
  /** Default float: floats are checked in float32 on every engine and in float64 on the reference. */
  readonly dtype?: DType | "float";
  /** Range of the random values; default [-2, 2). Integers are drawn uniformly from the closed range. */
  readonly range?: readonly [number, number];
}

/** Values known exactly: kinks, ties, extremes. NaN equals NaN. */
export interface Exact {
  readonly inputs: readonly {
    readonly shape: readonly number[];
    readonly data: readonly number[];
    readonly dtype?: DType;
  }[];
  /** Left out where only the gradients are exact. */
  readonly output?: readonly number[] | undefined;
  /** Gradients of the sum of the output, per input; null where none flows. */
  readonly gradients?: readonly (readonly number[] | null)[];
}

/**
 * One op. From a row the runner derives: forward on each engine against the reference; the directional derivative in
 * float64; the printed graph; exact values, forward and gradient, on each engine; for decomposable ops, decomposition
 * against the engine's own row.
 */
export interface Row {
  readonly op: string;
  readonly inputs: readonly Input[];
  readonly call: (...inputs: Blob[]) => Blob;
  /** What `String(graph)` says of the call; left out for long formulas of other ops. */
  readonly print?: string;
  readonly exact?: readonly Exact[];
  /** False where the op has no gradient by definition. */
  readonly differentiable?: boolean;
  /** Relative tolerance between engines in float32; default 1e-5. */
  readonly tolerance?: number;
}
