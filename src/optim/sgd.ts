import type { Blob } from "../graph/blob.js";
import { add, multiply, subtract } from "../ops/elementwise.js";
import { requireShare } from "./checks.js";
import { Optimizer, type OptimizerOptions, type UpdateContext } from "./optimizer.js";
import type { Schedule } from "./schedule.js";
import { WeightDecay, type WeightDecayOptions, weightDecayOptions } from "./weight-decay.js";

/** Options of `SGD`. */
export interface SGDOptions extends OptimizerOptions {
  /** Default 0.9, as documented; 0 is plain gradient descent and makes no slot. */
  readonly momentum?: number;
}

/**
 * Momentum: `v = momentum v - lr g; w = w + v` (slot `-momentum` holds v, so old steps keep their old rate; not
 * Nesterov). Plain: `w = w - lr g`.
 * @flow optimizer.SGD
 * @example
 * ```ts
 * const step = flow.globalFunction({ type: "train", name: "descend", returns: tp.Numpy }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.constantInitializer(2) });
 *   const loss = flow.math.square(w);
 *   new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1]), { momentum: 0 }).minimize(loss);
 *   return loss;
 * });
 * await new flow.train.CheckPoint().init();
 * await step(); // -> [4]
 * await step(); // -> [2.56]
 * ```
 */
export class SGD extends Optimizer {
  override readonly name = "SGD";
  /** Share of the old velocity. */
  readonly momentum: number;
  constructor(lrScheduler: Schedule, options: SGDOptions = {}) {
    super("SGD", lrScheduler, options, ["momentum"]);
    const { momentum = 0.9 } = options;
    requireShare("SGD", "momentum", momentum);
    this.momentum = momentum;
  }

  override update(context: UpdateContext): Blob {
    return descended(context, this.momentum);
  }
}

/** The value of a variable after a step of gradient descent with momentum. */
function descended({ value, gradient, learningRate, slot }: UpdateContext, momentum: number): Blob {
  const step = multiply(gradient, learningRate);
  if (momentum === 0) return subtract(value, step);
  const velocity = slot("momentum", 0);
  const next = subtract(multiply(velocity.value, momentum), step);
  velocity.set(next);
  return add(value, next);
}

/** Options of `SGDW`. */
export interface SGDWOptions extends SGDOptions, WeightDecayOptions {}

/**
 * SGD whose step also takes `lr weightDecay w` off each weight, apart from the velocity: `v = momentum v - lr g;
 * w = w + v - lr weightDecay w`. Without includes or excludes every variable decays, biases and norms too. (v0.2's kernel
 * has the term; no class of it does.)
 * @example
 * ```ts
 * const step = flow.globalFunction({ type: "train", name: "sgdw", returns: tp.Numpy }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.constantInitializer(2) });
 *   const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
 *   new flow.optimizer.SGDW(rate, { weightDecay: 0.5 }).minimize(w);
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step();
 * // 2 - 0.1 * 1 - 0.1 * 0.5 * 2
 * await step(); // -> [1.8]
 * ```
 */
export class SGDW extends Optimizer {
  override readonly name = "SGDW";
  /** Share of the old velocity. */
  readonly momentum: number;
  /** Which variables decay, and how much. */
  readonly weightDecay: WeightDecay;
  constructor(lrScheduler: Schedule, options: SGDWOptions = {}) {
    super("SGDW", lrScheduler, options, ["momentum", ...weightDecayOptions]);
    const { momentum = 0.9 } = options;
    requireShare("SGDW", "momentum", momentum);
    this.momentum = momentum;
    this.weightDecay = new WeightDecay("SGDW", options);
  }

  override update(context: UpdateContext): Blob {
    const { name, value, learningRate } = context;
    const decay = this.weightDecay.of(name);
    const next = descended(context, this.momentum);
    return decay === 0 ? next : subtract(next, multiply(value, multiply(learningRate, decay)));
  }
}
