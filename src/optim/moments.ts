import type { Blob } from "../graph/blob.js";
import { add, divide, multiply, subtract } from "../ops/elementwise.js";
import { sqrt } from "../ops/unary.js";
import { requireBoolean, requireNotNegative, requireShare } from "./checks.js";
import { Optimizer, type OptimizerOptions, type UpdateContext } from "./optimizer.js";
import type { Schedule } from "./schedule.js";

/** Options of the optimizers that keep means of gradients and of their squares. */
export interface MomentOptions extends OptimizerOptions {
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.999. */
  readonly beta2?: number;
  /** Added to the uncorrected sqrt(v); default 1e-8. */
  readonly epsilon?: number;
}

/** Base of the optimizers that keep means of gradients (slot `-m`) and of their squares (slot `-v`). */
export abstract class MomentOptimizer extends Optimizer {
  /** Share of the old mean. */
  readonly beta1: number;
  /** Share of the old mean square. */
  readonly beta2: number;
  /** Added to the root. */
  readonly epsilon: number;
  /** Whether the first steps are corrected for slots that begin at 0. */
  readonly doBiasCorrection: boolean;
  constructor(
    where: string,
    lrScheduler: Schedule,
    options: MomentOptions & { readonly doBiasCorrection?: boolean },
    known: readonly string[],
    defaults: { readonly epsilon: number; readonly doBiasCorrection: boolean },
  ) {
    super(where, lrScheduler, options, ["beta1", "beta2", "epsilon", ...known]);
    const { beta1 = 0.9, beta2 = 0.999, epsilon = defaults.epsilon } = options;
    const { doBiasCorrection = defaults.doBiasCorrection } = options;
    requireShare(where, "beta1", beta1);
    requireShare(where, "beta2", beta2);
    requireNotNegative(where, "epsilon", epsilon);
    requireBoolean(where, "doBiasCorrection", doBiasCorrection);
    this.beta1 = beta1;
    this.beta2 = beta2;
    this.epsilon = epsilon;
    this.doBiasCorrection = doBiasCorrection;
  }

  override update(context: UpdateContext): Blob {
    return subtract(context.value, multiply(this.direction(context), this.rate(context)));
  }

  /**
   * `m / (sqrt(v) + epsilon)` of the next `m = b1 m + (1 - b1) g` and `v = b2 v + (1 - b2) g²`. Both are made of `sqrt(1 - b2) g`, whose
   * factor can go into the product that the gradient comes from.
   */
  protected direction({ gradient, slot }: UpdateContext): Blob {
    const [m, v] = [slot("m", 0), slot("v", 0)];
    const root = Math.sqrt(1 - this.beta2);
    const part = multiply(gradient, root);
    const nextM = add(multiply(m.value, this.beta1), multiply(part, (1 - this.beta1) / root));
    const nextV = add(multiply(v.value, this.beta2), multiply(part, part));
    m.set(nextM);
    v.set(nextV);
    return divide(nextM, add(sqrt(nextV), this.epsilon));
  }

  /**
   * The rate, with bias correction times `sqrt(1 - b2_t) / (1 - b1_t)`: the slots `-beta1_t` and `-beta2_t` start at the
   * betas and are multiplied by them after each step.
   */
  protected rate({ learningRate, slot }: UpdateContext): Blob {
    if (!this.doBiasCorrection) return learningRate;
    const [b1, b2] = [slot("beta1_t", this.beta1, { scalar: true }), slot("beta2_t", this.beta2, { scalar: true })];
    b1.set(multiply(b1.value, this.beta1));
    b2.set(multiply(b2.value, this.beta2));
    return divide(multiply(learningRate, sqrt(subtract(1, b2.value))), subtract(1, b1.value));
  }
}

/** `share old + (1 - share) now`. */
export const blend = (old: Blob, now: Blob, share: number): Blob => add(multiply(old, share), multiply(now, 1 - share));
