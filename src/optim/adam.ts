import { FlowError } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { add, divide, multiply, subtract } from "../ops/elementwise.js";
import { sqrt } from "../ops/unary.js";
import { Optimizer, type OptimizerOptions, type UpdateContext } from "./optimizer.js";
import type { Schedule } from "./schedule.js";

/** Options of `Adam`. */
export interface AdamOptions extends OptimizerOptions {
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.999. */
  readonly beta2?: number;
  /** Added to the uncorrected sqrt(v); default 1e-8. */
  readonly epsilon?: number;
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
export class Adam extends Optimizer {
  override readonly name = "Adam";
  /** Share of the old mean. */
  readonly beta1: number;
  /** Share of the old mean square. */
  readonly beta2: number;
  /** Added to the root. */
  readonly epsilon: number;
  /** Whether the first steps are corrected for slots that begin at 0. */
  readonly doBiasCorrection: boolean;
  constructor(lrScheduler: Schedule, options: AdamOptions = {}) {
    super("Adam", lrScheduler, options, ["beta1", "beta2", "epsilon", "doBiasCorrection"]);
    const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, doBiasCorrection = false } = options;
    for (const [key, beta] of [
      ["beta1", beta1],
      ["beta2", beta2],
    ] as const) {
      if (!(typeof beta === "number" && beta >= 0 && beta < 1))
        throw new FlowError("E_ARGUMENT", `Adam: ${key} is ${beta}, expected 0 <= ${key} < 1`);
    }
    if (!(typeof epsilon === "number" && epsilon >= 0))
      throw new FlowError("E_ARGUMENT", `Adam: epsilon is ${epsilon}, expected at least 0`);
    this.beta1 = beta1;
    this.beta2 = beta2;
    this.epsilon = epsilon;
    this.doBiasCorrection = doBiasCorrection;
  }

  override update({ value, gradient, learningRate, slot }: UpdateContext): Blob {
    const [m, v] = [slot("m", 0), slot("v", 0)];
    const nextM = add(multiply(m.value, this.beta1), multiply(gradient, 1 - this.beta1));
    const nextV = add(multiply(v.value, this.beta2), multiply(multiply(gradient, gradient), 1 - this.beta2));
    m.set(nextM);
    v.set(nextV);
    let rate = learningRate;
    if (this.doBiasCorrection) {
      const [b1, b2] = [slot("beta1_t", this.beta1, { scalar: true }), slot("beta2_t", this.beta2, { scalar: true })];
      rate = divide(multiply(learningRate, sqrt(subtract(1, b2.value))), subtract(1, b1.value));
      b1.set(multiply(b1.value, this.beta1));
      b2.set(multiply(b2.value, this.beta2));
    }
    return subtract(value, multiply(divide(nextM, add(sqrt(nextV), this.epsilon)), rate));
  }
}
