/** Options of every CNN here; the defaults are the documented model. */
export interface CnnOptions {
  /** Units of the last layer; default 1000. */
  readonly classes?: number;
  /** Multiplies the number of channels and hidden units; default 1. Ours (MobileNetV2 has it as `multiplier`), for tests. */
  readonly width?: number;
  /** Rate of the dropout layers, where the model has any; default 0.5. */
  readonly dropoutRate?: number;
}

/** `channels` of a network of that width. */
export const scaled = (channels: number, width: number): number => Math.max(1, Math.round(channels * width));
