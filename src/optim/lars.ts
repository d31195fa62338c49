import { globalNorm } from "../autodiff/clip.js";
import type { Blob } from "../graph/blob.js";
import { add, divide, multiply, subtract } from "../ops/elementwise.js";
import { requireNotNegative, requireShare } from "./checks.js";
import { Optimizer, type OptimizerOptions, type UpdateContext } from "./optimizer.js";
import type { Schedule } from "./schedule.js";

/** Options of `LARS`. */
export interface LARSOptions extends OptimizerOptions {
  /** Share of the old velocity; default 0.9. */
  readonly momentumBeta?: number;
  /** Added to the gradient's norm; default 1e-9. */
  readonly epsilon?: number;
  /** Default 0.0001. */
  readonly larsCoefficient?: number;
}

/**
 * Momentum with a rate for each variable, by the size of its weights against that of its gradient:
 * `local = lr larsCoefficient ‖w‖ / (epsilon + ‖g‖); v = momentumBeta v - local g; w = w + v` (slot `-momentum` holds v).
 * Norms are the square roots of sums of squares, as documented (v0.2's CPU kernel took root mean squares, which weighs
 * epsilon otherwise). A variable of zeros stays where it is.
 * @flow optimizer.LARS
 * @example
 * ```ts
 * const step = flow.globalFunction({ type: "train", name: "lars", returns: tp.Numpy }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.constantInitializer(2) });
 *   const rate = new flow.optimizer.PiecewiseConstantScheduler([], [1]);
 *   new flow.optimizer.LARS(rate, { larsCoefficient: 0.1 }).minimize(flow.math.square(w));
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step();
 * // 2 - 0.1 * (2 / 4) * 4
 * await step(); // -> [1.8]
 * ```
 */
export class LARS extends Optimizer {
  override readonly name = "LARS";
  /** Share of the old velocity. */
  readonly momentumBeta: number;
  /** Added to the gradient's norm. */
  readonly epsilon: number;
  /** As given. */
  readonly larsCoefficient: number;
  constructor(lrScheduler: Schedule, options: LARSOptions = {}) {
    super("LARS", lrScheduler, options, ["momentumBeta", "epsilon", "larsCoefficient"]);
    const { momentumBeta = 0.9, epsilon = 1e-9, larsCoefficient = 0.0001 } = options;
    requireShare("LARS", "momentumBeta", momentumBeta);
    requireNotNegative("LARS", "epsilon", epsilon);
    requireNotNegative("LARS", "larsCoefficient", larsCoefficient);
    this.momentumBeta = momentumBeta;
    this.epsilon = epsilon;
    this.larsCoefficient = larsCoefficient;
  }

  override get elementwise(): boolean {
    return false;
  }

  override update({ value, gradient, learningRate, slot }: UpdateContext): Blob {
    const ratio = divide(globalNorm([value]), add(globalNorm([gradient]), this.epsilon));
    const local = multiply(multiply(learningRate, this.larsCoefficient), ratio);
    const velocity = slot("momentum", 0);
    const next = subtract(multiply(velocity.value, this.momentumBeta), multiply(gradient, local));
    velocity.set(next);
    return add(value, next);
  }
}
