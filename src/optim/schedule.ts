import { checkOptions } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { add, cast, holds, lessOp, multiply, where } from "../ops/elementwise.js";
import { constant } from "../ops/sources.js";
import { requireFinite } from "./checks.js";
import { type Warmup, warmupOf } from "./warmup.js";

/** A learning rate as a function of the train step (int64 `[1]`, 0 at the first call). */
export interface Schedule {
  /** float32 `[1]`; computed in float64. */
  learningRate(step: Blob): Blob;
}

/** Options of every scheduler but `CustomScheduler`. */
export interface ScheduleOptions {
  /** Made by `flow.optimizer.warmup.constant` or `flow.optimizer.warmup.linear`; default none. */
  readonly warmup?: Warmup;
}

/**
 * Base of the schedulers: the warm-up's rate in its steps, from then on the formula of the whole step number, so that a
 * decay has gone on meanwhile.
 */
export abstract class WarmedSchedule implements Schedule {
  /** As given. */
  readonly warmup: Warmup | undefined;

  constructor(
    where: string,
    /** What a warm-up is a share of. */
    readonly baseLr: number,
    options: ScheduleOptions,
    known: readonly string[],
  ) {
    checkOptions(where, options, [...known, "warmup"]);
    requireFinite(where, "baseLr", baseLr);
    this.warmup = warmupOf(where, options.warmup);
  }

  /** The rate at `step`, both float64 `[1]`, without warm-up. */
  protected abstract decayed(step: Blob): Blob;

  /** The rate at a step. */
  learningRate(step: Blob): Blob {
    const at = cast(step, "float64");
    const rate = this.decayed(at);
    return cast(this.warmup === undefined ? rate : warmed(this.warmup, this.baseLr, at, rate), "float32");
  }
}

/** The rate of a warm-up while it lasts, then `rate`. */
function warmed(warmup: Warmup, baseLr: number, step: Blob, rate: Blob): Blob {
  if (warmup.steps === 0) return rate;
  const rising =
    warmup.kind === "constant"
      ? constant(baseLr * warmup.multiplier, { dtype: "float64" })
      : // lr0 (m + (1 - m) t / steps)
        multiply(add(multiply(step, (1 - warmup.startMultiplier) / warmup.steps), warmup.startMultiplier), baseLr);
  return where(holds(lessOp, step, warmup.steps), rising, rate);
}
