import type { Blob } from "../graph/blob.js";
import type { AdamOptions } from "./adam.js";
import { MomentOptimizer } from "./moments.js";
import type { UpdateContext } from "./optimizer.js";
import type { Schedule } from "./schedule.js";
import { WeightDecay, type WeightDecayOptions, weightDecayOptions } from "./weight-decay.js";

/** Options of `AdamW`. */
export interface AdamWOptions extends AdamOptions, WeightDecayOptions {}

/**
 * Adam whose step also takes a share of each weight, apart from gradients and their means:
 * `w = w - lr' (m / (sqrt(v) + epsilon) + weightDecay w)`, all else as `Adam` has it. Without includes or excludes
 * every variable decays, biases and norms too.
 * @flow optimizer.AdamW
 * @example
 * ```ts
 * const step = flow.globalFunction({ type: "train", name: "adamw", returns: [tp.Numpy, tp.Numpy] }, () => {
 *   const settings = { shape: [1], initializer: flow.constantInitializer(2) };
 *   const [weight, bias] = [flow.getVariable("dense-weight", settings), flow.getVariable("dense-bias", settings)];
 *   const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
 *   const options = { doBiasCorrection: true, weightDecay: 0.5, weightDecayExcludes: ["bias", "LayerNorm"] };
 *   new flow.optimizer.AdamW(rate, options).minimize(weight.add(bias));
 *   return [weight, bias];
 * });
 * await new flow.train.CheckPoint().init();
 * await step();
 * const [weight, bias] = await step();
 * bias; // -> [1.9]
 * // The corrected rate of the first step is 0.0316; times 0.5 * 2 it is taken off too.
 * weight; // -> [1.86838]
 * ```
 */
export class AdamW extends MomentOptimizer {
  override readonly name = "AdamW";
  /** Which variables decay, and how much. */
  readonly weightDecay: WeightDecay;
  constructor(lrScheduler: Schedule, options: AdamWOptions = {}) {
    const known = ["doBiasCorrection", ...weightDecayOptions];
    super("AdamW", lrScheduler, options, known, { epsilon: 1e-8, doBiasCorrection: false });
    this.weightDecay = new WeightDecay("AdamW", options);
  }

  protected override direction(context: UpdateContext): Blob {
    return this.weightDecay.added(super.direction(context), context);
  }
}
