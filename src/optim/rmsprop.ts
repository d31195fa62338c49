import type { Blob } from "../graph/blob.js";
import { add, divide, maximum, multiply, subtract } from "../ops/elementwise.js";
import { sqrt } from "../ops/unary.js";
import { requireBoolean, requireNotNegative, requireShare } from "./checks.js";
import { blend } from "./moments.js";
import { Optimizer, type OptimizerOptions, type UpdateContext } from "./optimizer.js";
import type { Schedule } from "./schedule.js";

/** Options of `RMSProp`. */
export interface RMSPropOptions extends OptimizerOptions {
  /** Share of the old means; default 0.99. */
  readonly decayRate?: number;
  /** Added under the root; default 1e-8. */
  readonly epsilon?: number;
  /** Divides by the standard deviation of the gradient in place of its root mean square; default false. */
  readonly centered?: boolean;
}

/**
 * `s = decayRate s + (1 - decayRate) g²; w = w - lr g / sqrt(s + epsilon)`, slot `-mean_square`. Centered, the mean gradient
 * `a = decayRate a + (1 - decayRate) g` (slot `-mean_gradient`) is taken out: `w = w - lr g / sqrt(s - a² + epsilon)`,
 * where a difference that rounding makes negative counts as 0.
 * @flow optimizer.RMSProp
 * @example
 * ```ts
 * const step = flow.globalFunction({ type: "train", name: "rmsprop", returns: tp.Numpy }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.constantInitializer(2) });
 *   const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
 *   new flow.optimizer.RMSProp(rate, { decayRate: 0.75 }).minimize(flow.math.square(w));
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step();
 * // The gradient is 4: s = 0.25 * 16, and 2 - 0.1 * 4 / 2.
 * await step(); // -> [1.8]
 * ```
 */
export class RMSProp extends Optimizer {
  override readonly name = "RMSProp";
  /** Share of the old means. */
  readonly decayRate: number;
  /** Added under the root. */
  readonly epsilon: number;
  /** As given. */
  readonly centered: boolean;
  constructor(lrScheduler: Schedule, options: RMSPropOptions = {}) {
    super("RMSProp", lrScheduler, options, ["decayRate", "epsilon", "centered"]);
    const { decayRate = 0.99, epsilon = 1e-8, centered = false } = options;
    requireShare("RMSProp", "decayRate", decayRate);
    requireNotNegative("RMSProp", "epsilon", epsilon);
    requireBoolean("RMSProp", "centered", centered);
    this.decayRate = decayRate;
    this.epsilon = epsilon;
    this.centered = centered;
  }

  override update({ value, gradient, learningRate, slot }: UpdateContext): Blob {
    const meanSquare = slot("mean_square", 0);
    const nextSquare = blend(meanSquare.value, multiply(gradient, gradient), this.decayRate);
    meanSquare.set(nextSquare);
    let variance = nextSquare;
    if (this.centered) {
      const mean = slot("mean_gradient", 0);
      const nextMean = blend(mean.value, gradient, this.decayRate);
      mean.set(nextMean);
      variance = maximum(subtract(nextSquare, multiply(nextMean, nextMean)), 0);
    }
    return subtract(value, multiply(divide(gradient, sqrt(add(variance, this.epsilon))), learningRate));
  }
}
