import { FlowError, plainText, textOfValue } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { holds, lessEqualOp, where } from "../ops/elementwise.js";
import { constant } from "../ops/sources.js";
import { requireFinite } from "./checks.js";
import { type ScheduleOptions, WarmedSchedule } from "./schedule.js";

/** `values[i]` for the first i with `step <= boundaries[i]`, else the last. */
function piece(step: Blob, boundaries: readonly number[], values: readonly number[]): Blob {
  const value = (i: number): Blob => constant(values[i]!, { dtype: "float64" });
  return boundaries.reduceRight<Blob>(
    (later, boundary, i) => where(holds(lessEqualOp, step, boundary), value(i), later),
    value(boundaries.length),
  );
}

function requireBoundaries(where: string, boundaries: readonly number[]): void {
  if (!boundaries.every((b, i) => Number.isInteger(b) && (i === 0 || b > boundaries[i - 1]!)))
    throw new FlowError("E_ARGUMENT", `${where}: boundaries ${plainText(boundaries)} must be rising integers`);
}

/**
 * `values[i]` for the first i with `step <= boundaries[i]`, else the last value. Boundaries are inclusive, and one
 * value more than boundaries is needed. A warm-up is a share of the first value.
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
export class PiecewiseConstantScheduler extends WarmedSchedule {
  constructor(
    /** The last step of each value but the last. */
    readonly boundaries: readonly number[],
    /** The learning rates. */
    readonly values: readonly number[],
    options: ScheduleOptions = {},
  ) {
    const where = "PiecewiseConstantScheduler";
    if (!Array.isArray(boundaries) || !Array.isArray(values))
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: boundaries are ${plainText(boundaries)} and values ${plainText(values)}, expected two arrays`,
      );
    if (values.length !== boundaries.length + 1) {
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: got boundaries ${plainText(boundaries)} and values ${plainText(values)}, expected one value more than boundaries`,
      );
    }
    requireBoundaries(where, boundaries);
    if (!values.every((v) => Number.isFinite(v)))
      throw new FlowError("E_ARGUMENT", `${where}: values ${plainText(values)} must be finite numbers`);
    super(where, values[0]!, options, []);
  }

  protected override decayed(step: Blob): Blob {
    return piece(step, this.boundaries, this.values);
  }
}

/**
 * `baseLr` while `step <= boundaries[0]`, then `baseLr * scale[i]` after the i-th boundary: each scale is a share of
 * `baseLr`, not of the rate before it. One number as `scale` serves for every boundary.
 * @flow optimizer.PiecewiseScalingScheduler
 * @example
 * ```ts
 * const rate = new flow.optimizer.PiecewiseScalingScheduler(0.1, [2, 4], [0.5, 0.1]);
 * const step = flow.globalFunction({ type: "train", name: "t" }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() });
 *   new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(w);
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step.learningRate(2); // -> 0.1
 * await step.learningRate(3); // -> 0.05
 * await step.learningRate(5); // -> 0.01
 * ```
 */
export class PiecewiseScalingScheduler extends WarmedSchedule {
  /** The share of `baseLr` after each boundary. */
  readonly scale: readonly number[];
  constructor(
    baseLr: number,
    /** The last step of each rate but the last. */
    readonly boundaries: readonly number[],
    scale: number | readonly number[],
    options: ScheduleOptions = {},
  ) {
    const where = "PiecewiseScalingScheduler";
    super(where, baseLr, options, []);
    if (!Array.isArray(boundaries))
      throw new FlowError("E_ARGUMENT", `${where}: boundaries is ${textOfValue(boundaries)}, expected an array`);
    requireBoundaries(where, boundaries);
    const scales = Array.isArray(scale) ? (scale as readonly number[]) : boundaries.map(() => scale as number);
    if (scales.length !== boundaries.length)
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: got boundaries ${plainText(boundaries)} and scales ${plainText(scales)}, expected as many scales as boundaries, or one number`,
      );
    for (const value of Array.isArray(scale) ? scales : [scale]) requireFinite(where, "a scale", value);
    this.scale = Object.freeze([...scales]);
  }

  protected override decayed(step: Blob): Blob {
    return piece(step, this.boundaries, [this.baseLr, ...this.scale.map((scale) => this.baseLr * scale)]);
  }
}
