import { MomentOptimizer, type MomentOptions } from "./moments.js";
import type { Schedule } from "./schedule.js";

/** Options of `Adam`. */
export interface AdamOptions extends MomentOptions {
  /** Default false, as documented. */
  readonly doBiasCorrection?: boolean;
}

/**
 * `m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g²; w = w - lr' m / (sqrt(v) + epsilon)`, slots `-m` and `-v`. With bias
 * correction `lr' = lr sqrt(1 - b2_t) / (1 - b1_t)`, where the slots `-beta1_t` and `-beta2_t` start at b1 and b2 and
 * are multiplied by them after each step; otherwise `lr' = lr`.
 * @flow optimizer.Adam
 * @example
 * ```ts
 * const step = flow.globalFunction({ type: "train", name: "adam", returns: tp.Numpy }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.constantInitializer(2) });
 *   const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
 *   new flow.optimizer.Adam(rate, { doBiasCorrection: true }).minimize(flow.math.square(w));
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step(); // -> [2]
 * await step(); // -> [1.9]
 * ```
 */
export class Adam extends MomentOptimizer {
  override readonly name = "Adam";
  constructor(lrScheduler: Schedule, options: AdamOptions = {}) {
    super("Adam", lrScheduler, options, ["doBiasCorrection"], { epsilon: 1e-8, doBiasCorrection: false });
  }
}
