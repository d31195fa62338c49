import { FlowError, plainText, textOfValue } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { pow } from "../ops/binary.js";
import { add, divide, maximum, minimum, multiply, subtract } from "../ops/elementwise.js";
import { constant } from "../ops/sources.js";
import { ceil, cos, exp, floor } from "../ops/unary.js";
import { requireBoolean, requireFinite, requireSteps } from "./checks.js";
import { type ScheduleOptions, WarmedSchedule } from "./schedule.js";

// Steps are float64 here: t of the formulas, with B steps and the base rate lr0.

/** `(1 + cos(turn t)) / 2`. */
const wave = (step: Blob, turn: number): Blob => multiply(add(cos(multiply(step, turn)), 1), 0.5);

/** Options of `CosineScheduler`. */
export interface CosineOptions extends ScheduleOptions {
  /** The last rate's share of `baseLr`; default 0. */
  readonly alpha?: number;
}

/**
 * Half a cosine wave down to `alpha baseLr` at step B = `steps`, then that rate:
 * `lr0 ((1 - alpha) (1 + cos(pi c / B)) / 2 + alpha)` with `c = min(t, B)`.
 * @flow optimizer.CosineScheduler
 * @example
 * ```ts
 * const rate = new flow.optimizer.CosineScheduler(0.1, 100, { alpha: 0.2 });
 * const step = flow.globalFunction({ type: "train", name: "t" }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() });
 *   new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(w);
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step.learningRate(50); // -> 0.06
 * await step.learningRate(100); // -> 0.02
 * ```
 */
export class CosineScheduler extends WarmedSchedule {
  /** As given. */
  readonly alpha: number;
  constructor(
    baseLr: number,
    /** The step from which the rate stays. */
    readonly steps: number,
    options: CosineOptions = {},
  ) {
    const where = "CosineScheduler";
    super(where, baseLr, options, ["alpha"]);
    requireSteps(where, steps);
    const { alpha = 0 } = options;
    requireFinite(where, "alpha", alpha);
    this.alpha = alpha;
  }

  protected override decayed(step: Blob): Blob {
    const half = wave(minimum(step, this.steps), Math.PI / this.steps);
    return multiply(add(multiply(half, 1 - this.alpha), this.alpha), this.baseLr);
  }
}

/** Options of `LinearCosineScheduler`. */
export interface LinearCosineOptions extends ScheduleOptions {
  /** Cosine waves in the decay; default 0.5. */
  readonly numPeriods?: number;
  /** Added to the falling line before the wave; default 0. */
  readonly alpha?: number;
  /** Added after the wave; default 0.001. */
  readonly beta?: number;
}

/**
 * A cosine wave times a falling line until step B = `steps`, then its last rate:
 * `lr0 ((alpha + (B - c) / B) (1 + cos(2 pi numPeriods c / B)) / 2 + beta)` with `c = min(t, B)`.
 * @flow optimizer.LinearCosineScheduler
 * @example
 * ```ts
 * const rate = new flow.optimizer.LinearCosineScheduler(0.1, 100, { beta: 0 });
 * const step = flow.globalFunction({ type: "train", name: "t" }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() });
 *   new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(w);
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step.learningRate(50); // -> 0.025
 * ```
 */
export class LinearCosineScheduler extends WarmedSchedule {
  /** As given. */
  readonly numPeriods: number;
  /** As given. */
  readonly alpha: number;
  /** As given. */
  readonly beta: number;
  constructor(
    baseLr: number,
    /** The step from which the rate stays. */
    readonly steps: number,
    options: LinearCosineOptions = {},
  ) {
    const where = "LinearCosineScheduler";
    super(where, baseLr, options, ["numPeriods", "alpha", "beta"]);
    requireSteps(where, steps);
    const { numPeriods = 0.5, alpha = 0, beta = 0.001 } = options;
    for (const [what, value] of Object.entries({ numPeriods, alpha, beta })) requireFinite(where, what, value);
    this.numPeriods = numPeriods;
    this.alpha = alpha;
    this.beta = beta;
  }

  protected override decayed(step: Blob): Blob {
    const { steps, numPeriods, alpha, beta, baseLr } = this;
    const at = minimum(step, steps);
    const line = add(divide(subtract(steps, at), steps), alpha);
    return multiply(add(multiply(line, wave(at, (2 * Math.PI * numPeriods) / steps)), beta), baseLr);
  }
}

/** Options of `PolynomialSchduler`. */
export interface PolynomialOptions extends ScheduleOptions {
  /** Default 0.0001. */
  readonly endLearningRate?: number;
  /** Default 1: a straight line. */
  readonly power?: number;
  /** After `steps` steps begin again, from a lower rate with a decay as long as all steps so far; default false. */
  readonly cycle?: boolean;
}

/**
 * From `baseLr` to `endLearningRate` in B = `steps` steps, then that rate: `(lr0 - end) (1 - c / B)^power + end` with
 * `c = min(t, B)`. With `cycle`, `c = max(t, 1)` and the next multiple of `steps` stands for B.
 *
 * `PolynomialSchduler` is the documented spelling; `PolynomialScheduler` is the same class.
 * @flow optimizer.PolynomialSchduler @flow optimizer.PolynomialScheduler
 * @example
 * ```ts
 * const rate = new flow.optimizer.PolynomialSchduler(0.1, 100, { endLearningRate: 0.02, power: 2 });
 * const step = flow.globalFunction({ type: "train", name: "t" }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() });
 *   new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(w);
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step.learningRate(50); // -> 0.04
 * await step.learningRate(100); // -> 0.02
 * ```
 */
export class PolynomialSchduler extends WarmedSchedule {
  /** As given. */
  readonly endLearningRate: number;
  /** As given. */
  readonly power: number;
  /** As given. */
  readonly cycle: boolean;
  constructor(
    baseLr: number,
    /** Steps of the decay. */
    readonly steps: number,
    options: PolynomialOptions = {},
  ) {
    const where = "PolynomialSchduler";
    super(where, baseLr, options, ["endLearningRate", "power", "cycle"]);
    requireSteps(where, steps);
    const { endLearningRate = 0.0001, power = 1, cycle = false } = options;
    requireFinite(where, "endLearningRate", endLearningRate);
    if (!(Number.isFinite(power) && power >= 0))
      throw new FlowError("E_ARGUMENT", `${where}: power is ${textOfValue(power)}, expected a number of at least 0`);
    requireBoolean(where, "cycle", cycle);
    this.endLearningRate = endLearningRate;
    this.power = power;
    this.cycle = cycle;
  }

  protected override decayed(step: Blob): Blob {
    const { steps, power, cycle, baseLr, endLearningRate: end } = this;
    const at = cycle ? maximum(step, 1) : minimum(step, steps);
    const share = divide(at, cycle ? multiply(ceil(divide(at, steps)), steps) : steps);
    const left = subtract(1, share);
    return add(multiply(power === 1 ? left : pow(left, constant(power, { dtype: "float64" })), baseLr - end), end);
  }
}

/** Options of `ExponentialScheduler`, `InverseTimeScheduler` and `NaturalExpScheduler`. */
export interface DecayOptions extends ScheduleOptions {
  /** Whole decays only: `floor(t / B)` in place of `t / B`; default false. */
  readonly staircase?: boolean;
}

/** Base of the schedulers that decay without end: `p = t / B`, with `staircase` its floor. */
export abstract class EndlessDecay extends WarmedSchedule {
  /** As given. */
  readonly staircase: boolean;
  constructor(
    where: string,
    baseLr: number,
    /** Steps of one decay. */
    readonly steps: number,
    /** What one decay does. */
    readonly decayRate: number,
    options: DecayOptions,
  ) {
    super(where, baseLr, options, ["staircase"]);
    requireSteps(where, steps);
    requireFinite(where, "decayRate", decayRate);
    const { staircase = false } = options;
    requireBoolean(where, "staircase", staircase);
    this.staircase = staircase;
  }

  /** The decays done at `step`. */
  protected decays(step: Blob): Blob {
    const count = divide(step, this.steps);
    return this.staircase ? floor(count) : count;
  }
}

/**
 * `lr0 decayRate^p`, `p = t / steps`, with `staircase` its floor.
 * @flow optimizer.ExponentialScheduler
 * @example
 * ```ts
 * const rate = new flow.optimizer.ExponentialScheduler(0.1, 10, 0.5, { staircase: true });
 * const step = flow.globalFunction({ type: "train", name: "t" }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() });
 *   new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(w);
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step.learningRate(9); // -> 0.1
 * await step.learningRate(29); // -> 0.025
 * ```
 */
export class ExponentialScheduler extends EndlessDecay {
  constructor(baseLr: number, steps: number, decayRate: number, options: DecayOptions = {}) {
    super("ExponentialScheduler", baseLr, steps, decayRate, options);
    if (decayRate < 0)
      throw new FlowError(
        "E_ARGUMENT",
        `ExponentialScheduler: decayRate is ${plainText(decayRate)}, expected at least 0`,
      );
  }

  protected override decayed(step: Blob): Blob {
    return multiply(pow(constant(this.decayRate, { dtype: "float64" }), this.decays(step)), this.baseLr);
  }
}

/**
 * `lr0 / (1 + decayRate p)`, `p = t / steps`, with `staircase` its floor.
 * @flow optimizer.InverseTimeScheduler
 * @example
 * ```ts
 * const rate = new flow.optimizer.InverseTimeScheduler(0.1, 10, 0.5);
 * const step = flow.globalFunction({ type: "train", name: "t" }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() });
 *   new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(w);
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step.learningRate(20); // -> 0.05
 * ```
 */
export class InverseTimeScheduler extends EndlessDecay {
  constructor(baseLr: number, steps: number, decayRate: number, options: DecayOptions = {}) {
    super("InverseTimeScheduler", baseLr, steps, decayRate, options);
  }

  protected override decayed(step: Blob): Blob {
    return divide(this.baseLr, add(multiply(this.decays(step), this.decayRate), 1));
  }
}

/**
 * `lr0 exp(-decayRate p)`, `p = t / steps`, with `staircase` its floor.
 * @flow optimizer.NaturalExpScheduler
 * @example
 * ```ts
 * const rate = new flow.optimizer.NaturalExpScheduler(0.1, 10, Math.LN2);
 * const step = flow.globalFunction({ type: "train", name: "t" }, () => {
 *   const w = flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() });
 *   new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(w);
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step.learningRate(10); // -> 0.05
 * ```
 */
export class NaturalExpScheduler extends EndlessDecay {
  constructor(baseLr: number, steps: number, decayRate: number, options: DecayOptions = {}) {
    super("NaturalExpScheduler", baseLr, steps, decayRate, options);
  }

  protected override decayed(step: Blob): Blob {
    return multiply(exp(multiply(this.decays(step), -this.decayRate)), this.baseLr);
  }
}
