import { FlowError } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { add, multiply, subtract } from "../ops/elementwise.js";
import { Optimizer, type OptimizerOptions, type UpdateContext } from "./optimizer.js";
import type { Schedule } from "./schedule.js";

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
    if (!(typeof momentum === "number" && momentum >= 0 && momentum < 1))
      throw new FlowError("E_ARGUMENT", `SGD: momentum is ${momentum}, expected 0 <= momentum < 1`);
    this.momentum = momentum;
  }

  override update({ value, gradient, learningRate, slot }: UpdateContext): Blob {
    const step = multiply(gradient, learningRate);
    if (this.momentum === 0) return subtract(value, step);
    const velocity = slot("momentum", 0);
    const next = subtract(multiply(velocity.value, this.momentum), step);
    velocity.set(next);
    return add(value, next);
  }
}
