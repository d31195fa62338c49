import { FlowError, plainText } from "../core/errors.js";

/** A penalty on a variable, `l1 |w| + l2/2 w²`; it adds `l1 sign(w) + l2 w` to the gradient and never shows in the loss. */
export interface Regularizer {
  /** Factor of the absolute value. */
  readonly l1: number;
  /** Factor of half the square. */
  readonly l2: number;
}

function checked(where: string, l1: number, l2: number): Regularizer {
  for (const value of [l1, l2]) {
    if (!(typeof value === "number" && value >= 0 && Number.isFinite(value)))
      throw new FlowError("E_ARGUMENT", `${where}: got ${plainText(value)}, expected numbers of at least 0`);
  }
  return Object.freeze({ l1, l2 });
}

/** Both penalties; the sign at 0 is 0 (v0.2's CPU kernel used +1).  @flow regularizers.l1_l2 */
export function l1L2(l1 = 0.01, l2 = 0.01): Regularizer {
  return checked("regularizers.l1L2", l1, l2);
}

/** The l1 penalty alone.  @flow regularizers.l1 */
export function l1(l = 0.01): Regularizer {
  return checked("regularizers.l1", l, 0);
}

/**
 * The l2 penalty alone; not doubled: the gradient gets `l w`.
 * @flow regularizers.l2
 * @example
 * ```ts
 * const step = flow.globalFunction({ type: "train", name: "decay", returns: tp.Numpy }, () => {
 *   const initializer = flow.onesInitializer();
 *   const w = flow.getVariable("w", { shape: [1], initializer, regularizer: flow.regularizers.l2(0.5) });
 *   new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1]), { momentum: 0 }).minimize(w);
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step(); // -> [1]
 * await step(); // -> [0.85]
 * ```
 */
export function l2(l = 0.01): Regularizer {
  return checked("regularizers.l2", 0, l);
}
