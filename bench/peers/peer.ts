import type { Case, ModelCase } from "../cases.js";

/** Where the first values and the arguments of a full-size case lie. */
export interface ModelFiles {
  /** A checkpoint in OneFlow's layout: `<weights>/<variable>/out`. */
  readonly weights: string;
  /** `0.npy`, `1.npy`, ... in the order of the job's arguments. */
  readonly feeds: string;
}

/** One training step, which gives the mean loss before the update, or one inference, which gives the sum of squared logits. */
export type Step = () => Promise<number>;

/** How a framework takes part; each module of a peer exports one as `peer`. */
export interface Peer {
  readonly version: string;
  open(benchCase: Case, threads: number): Promise<Step>;
  /** As `open`, for a full-size model. */
  openModel?(benchCase: ModelCase, threads: number, files: ModelFiles): Promise<Step>;
  /** Writes the files of a full-size model, and says how many operations a step takes; onestep's peer does. */
  exportModel?(benchCase: ModelCase, threads: number, files: ModelFiles): Promise<{ readonly flop: number }>;
  /** Billions of operations a second of a large matrix product; onestep's peer measures it. */
  peak?(threads: number): Promise<number>;
}

/** What inference returns in place of a loss. */
export const sumOfSquares = (logits: ArrayLike<number>): number =>
  Array.from(logits).reduce((sum, value) => sum + value * value, 0);
