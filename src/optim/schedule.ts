import { FlowError } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { emit } from "../graph/trace.js";
import { cast, lessEqualOp, where } from "../ops/elementwise.js";
import { constant } from "../ops/sources.js";

/** A learning rate as a function of the train step (int64 `[1]`, 0 at the first call). */
export interface Schedule {
  /** float32 `[1]`; computed in float64. */
  learningRate(step: Blob): Blob;
}

/**
 * `values[i]` for the first i with `step <= boundaries[i]`, else the last value. Boundaries are inclusive, and one
 * value more than boundaries is needed.
 * @flow optimizer.PiecewiseConstantScheduler
 * @example
 * ```ts
 * // 0.1 in the steps 0 to 2, then 0.01.
 * const rate = new flow.optimizer.PiecewiseConstantScheduler([2], [0.1, 0.01]);
 * const step = flow.globalFunction({ type: "train", name: "t", returns: tp.Numpy }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() });
 *   new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(w);
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * for (let i = 0; i < 4; i++) await step();
 * await step(); // -> [-0.31]
 * ```
 */
export class PiecewiseConstantScheduler implements Schedule {
  constructor(
    /** The last step of each value but the last. */
    readonly boundaries: readonly number[],
    /** The learning rates. */
    readonly values: readonly number[],
  ) {
    const where = "PiecewiseConstantScheduler";
    if (!Array.isArray(boundaries) || !Array.isArray(values))
      throw new FlowError("E_ARGUMENT", `${where}: boundaries and values must be arrays`);
    if (values.length !== boundaries.length + 1) {
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: got ${boundaries.length} boundaries and ${values.length} values, expected one value more than boundaries`,
      );
    }
    if (!boundaries.every((b, i) => Number.isInteger(b) && (i === 0 || b > boundaries[i - 1]!)))
      throw new FlowError("E_ARGUMENT", `${where}: boundaries [${boundaries.join(", ")}] must be rising integers`);
    if (!values.every((v) => Number.isFinite(v)))
      throw new FlowError("E_ARGUMENT", `${where}: values [${values.join(", ")}] must be finite numbers`);
  }

  /** The rate at a step. */
  learningRate(step: Blob): Blob {
    const value = (i: number): Blob => constant(this.values[i]!, { dtype: "float64" });
    const rate = this.boundaries.reduceRight<Blob>(
      (later, boundary, i) =>
        where(emit(lessEqualOp, [step, constant(boundary, { dtype: "int64" })], {}), value(i), later),
      value(this.values.length - 1),
    );
    return cast(rate, "float32");
  }
}
