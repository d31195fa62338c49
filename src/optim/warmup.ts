import { FlowError, textOfValue } from "../core/errors.js";
import { requireSteps } from "./checks.js";

/** The first steps of a schedule, as `flow.optimizer.warmup.constant` and `linear` make them. */
export type Warmup =
  | { readonly kind: "constant"; readonly steps: number; readonly multiplier: number }
  | { readonly kind: "linear"; readonly steps: number; readonly startMultiplier: number };

const made = new WeakSet<object>();

/**
 * The base rate times `multiplier` (above 0, below 1) in the first `steps` steps, which are calls of the train job. Then
 * the schedule takes over at that step, not at its beginning.
 * @flow optimizer.warmup.constant
 * @example
 * ```ts
 * const warmup = flow.optimizer.warmup.constant(2, 0.1);
 * const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.5], { warmup });
 * const step = flow.globalFunction({ type: "train", name: "t" }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() });
 *   new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(w);
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step.learningRate(1); // -> 0.05
 * await step.learningRate(2); // -> 0.5
 * ```
 */
export function constant(steps: number, multiplier: number): Warmup {
  const where = "warmup.constant";
  requireSteps(where, steps, 0);
  if (!(typeof multiplier === "number" && multiplier > 0 && multiplier < 1))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: multiplier is ${textOfValue(multiplier)}, expected 0 < multiplier < 1`,
    );
  return remember({ kind: "constant", steps, multiplier });
}

/**
 * From the base rate times `startMultiplier` (at least 0, below 1) at the first step in a straight line to the base rate at
 * step `steps`: `lr0 (m + (1 - m) t / steps)`. Steps are calls of the train job. Then the schedule takes over at that step,
 * not at its beginning.
 * @flow optimizer.warmup.linear
 * @example
 * ```ts
 * const warmup = flow.optimizer.warmup.linear(4, 0);
 * const rate = new flow.optimizer.PolynomialSchduler(1, 10, { endLearningRate: 0, warmup });
 * const step = flow.globalFunction({ type: "train", name: "t" }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() });
 *   new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(w);
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step.learningRate(1); // -> 0.25
 * // 4 of the 10 steps of the decay are over.
 * await step.learningRate(4); // -> 0.6
 * ```
 */
export function linear(steps: number, startMultiplier: number): Warmup {
  const where = "warmup.linear";
  requireSteps(where, steps, 0);
  if (!(typeof startMultiplier === "number" && startMultiplier >= 0 && startMultiplier < 1))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: startMultiplier is ${textOfValue(startMultiplier)}, expected 0 <= startMultiplier < 1`,
    );
  return remember({ kind: "linear", steps, startMultiplier });
}

/** An option `warmup`, checked. */
export function warmupOf(where: string, warmup: Warmup | undefined): Warmup | undefined {
  if (warmup !== undefined && !(typeof warmup === "object" && warmup !== null && made.has(warmup)))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: warmup is ${textOfValue(warmup)}, expected what flow.optimizer.warmup.linear(steps, startMultiplier) or warmup.constant(steps, multiplier) gives`,
    );
  return warmup;
}

function remember(warmup: Warmup): Warmup {
  made.add(Object.freeze(warmup));
  return warmup;
}
