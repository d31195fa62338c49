import { globalNorm } from "../autodiff/clip.js";
import type { Blob } from "../graph/blob.js";
import { divide, greaterOp, holds, minimum, multiply, subtract, where } from "../ops/elementwise.js";
import type { AdamOptions } from "./adam.js";
import { MomentOptimizer } from "./moments.js";
import type { UpdateContext } from "./optimizer.js";
import type { Schedule } from "./schedule.js";
import { WeightDecay, type WeightDecayOptions, weightDecayOptions } from "./weight-decay.js";

/** Options of `LAMB`; `epsilon` is 1e-6 by default. */
export interface LAMBOptions extends AdamOptions, WeightDecayOptions {}

/**
 * AdamW with a rate for each variable, by the size of its weights against that of its step:
 * `u = m / (sqrt(v) + epsilon) + weightDecay w; w = w - lr' (‖w‖ / ‖u‖) u`, where the ratio is 1 if one of the norms is 0;
 * all else as `AdamW` has it (You et al., "Large Batch Optimization for Deep Learning", algorithm 2). v0.2 has no LAMB.
 * @example
 * ```ts
 * const step = flow.globalFunction({ type: "train", name: "lamb", returns: tp.Numpy }, () => {
 *   const w = flow.getVariable("w", { shape: [2], initializer: flow.constantInitializer(2) });
 *   const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
 *   new flow.optimizer.LAMB(rate).minimize(flow.math.square(w));
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step();
 * // A tenth of the weights' norm, whatever the gradient's.
 * await step(); // -> [1.8, 1.8]
 * ```
 */
export class LAMB extends MomentOptimizer {
  override readonly name = "LAMB";
  /** Which variables decay, and how much. */
  readonly weightDecay: WeightDecay;
  constructor(lrScheduler: Schedule, options: LAMBOptions = {}) {
    const known = ["doBiasCorrection", ...weightDecayOptions];
    super("LAMB", lrScheduler, options, known, { epsilon: 1e-6, doBiasCorrection: false });
    this.weightDecay = new WeightDecay("LAMB", options);
  }

  override get elementwise(): boolean {
    return false;
  }

  override update(context: UpdateContext): Blob {
    const change = this.weightDecay.added(this.direction(context), context);
    const [weights, step] = [globalNorm([context.value]), globalNorm([change])];
    const ratio = where(holds(greaterOp, minimum(weights, step), 0), divide(weights, step), 1);
    return subtract(context.value, multiply(change, multiply(this.rate(context), ratio)));
  }
}
