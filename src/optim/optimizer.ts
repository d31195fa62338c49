import { checkOptions, FlowError, plainText, textOfValue } from "../core/errors.js";
import { type Pattern, patternList } from "../core/pattern.js";
import { sizeOf } from "../core/shape.js";
import { Blob } from "../graph/blob.js";
import { currentBuilder, type GraphBuilder, textOf } from "../graph/trace.js";
import { reshape } from "../ops/structure.js";
import { blobNamed, requireBlobName } from "./blob-name.js";
import { CustomScheduler } from "./custom-schedule.js";
import type { Schedule } from "./schedule.js";
import { Minimization } from "./training-values.js";

/** How gradients are bounded before the update. */
export interface GradientClipping {
  /** The largest norm of all gradients together. */
  readonly clipNorm: number;
}

/** Options of every optimizer. */
export interface OptimizerOptions {
  /** A whole number of at least 1; gradients are computed times this and divided by it again (for float16's range). */
  readonly lossScaleFactor?: number;
  /** Made by `flow.optimizer.gradClipping.byGlobalNorm`; default none. */
  readonly gradClipping?: GradientClipping;
  /**
   * Logical name, such as "steps/out", of an int64 `[1]` blob of the job that is the step for the schedule. The job then has
   * no counter of its own. Default: a counter that is saved with the variables.
   */
  readonly trainStepLbn?: string;
}

/** What an update rule works with, for one variable. */
export interface UpdateContext {
  /** The variable before the step. */
  readonly value: Blob;
  /** Its name, which weight decay may choose by. */
  readonly name: string;
  /** After averaging, regularizers and clipping. */
  readonly gradient: Blob;
  /** `[1]`, of the variable's dtype. */
  readonly learningRate: Blob;
  /** The optimizer's own variable `<variable>-<suffix>`, of the variable's shape or, with `scalar`, `[1]`. */
  slot(suffix: string, initial: number, options?: { readonly scalar?: boolean }): Slot;
}

/** A variable of an optimizer. */
export interface Slot {
  /** Its value before the step. */
  readonly value: Blob;
  /** Gives its next value. */
  set(next: Blob): void;
}

/** Options of `minimize`. */
export interface MinimizeOptions {
  /**
   * Calls whose gradients are averaged for one update; default 1. Variables, schedule and step move at every n-th call only.
   */
  readonly accumulate?: number;
  /** Names of trainable variables that this job leaves as they are: `"conv*"`, a RegExp, or several of them. */
  readonly freeze?: Pattern | readonly Pattern[];
}

/** What `minimize` asked of a job. */
export interface Objective {
  readonly optimizer: Optimizer;
  readonly losses: readonly Blob[];
  readonly accumulate: number;
  readonly freeze: readonly Pattern[];
  /** The blob that is the learning rate, of a `CustomScheduler`. */
  readonly rate: Blob | undefined;
  /** The blob that is the step, of `trainStepLbn`. */
  readonly step: Blob | undefined;
  /** Tables of which only the rows that were read are updated, of the job's function config. */
  readonly indexedSlices: readonly string[];
}

const objectives = new WeakMap<GraphBuilder, Objective>();

/** The objective of a traced job, or undefined. */
export function objectiveOf(builder: GraphBuilder): Objective | undefined {
  return objectives.get(builder);
}

/** The same objective in a rewritten graph. */
export function mapObjective(objective: Objective, map: (blob: Blob) => Blob): Objective {
  const mapped = (blob: Blob | undefined): Blob | undefined => (blob === undefined ? undefined : map(blob));
  const { losses, rate, step } = objective;
  return { ...objective, losses: losses.map(map), rate: mapped(rate), step: mapped(step) };
}

/** Base of the optimizers. */
export abstract class Optimizer {
  /** Begins the messages of its errors. */
  abstract readonly name: string;
  /** As given; 1 by default. */
  readonly lossScaleFactor: number;
  /** As given. */
  readonly gradClipping: GradientClipping | undefined;
  /** As given. */
  readonly trainStepLbn: string | undefined;

  constructor(
    where: string,
    /** The learning rate as a function of the step. */
    readonly schedule: Schedule,
    options: OptimizerOptions,
    known: readonly string[],
  ) {
    checkOptions(where, options, [...known, "lossScaleFactor", "gradClipping", "trainStepLbn"]);
    if (typeof (schedule as Schedule | undefined)?.learningRate !== "function") {
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: the learning rate is ${textOfValue(schedule)}, expected a scheduler; a constant rate is new flow.optimizer.PiecewiseConstantScheduler([], [0.1])`,
      );
    }
    const { lossScaleFactor = 1, gradClipping, trainStepLbn } = options;
    if (!Number.isInteger(lossScaleFactor) || lossScaleFactor < 1)
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: lossScaleFactor is ${plainText(lossScaleFactor)}, expected an integer of at least 1`,
      );
    if (gradClipping !== undefined && !(typeof gradClipping === "object" && clippings.has(gradClipping)))
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: gradClipping is ${textOfValue(gradClipping)}, expected what flow.optimizer.gradClipping.byGlobalNorm(clipNorm) gives`,
      );
    if (trainStepLbn !== undefined) requireBlobName(where, "trainStepLbn", trainStepLbn);
    this.lossScaleFactor = lossScaleFactor;
    this.gradClipping = gradClipping;
    this.trainStepLbn = trainStepLbn;
  }

  /** Whether an element's next value depends on no other element, so that rows of a variable can be updated alone. */
  get elementwise(): boolean {
    return true;
  }

  /** The variable's next value. */
  abstract update(context: UpdateContext): Blob;

  /**
   * Makes this job minimise `loss` (or the sum of the means of several losses of one shape): the gradient of an unreduced
   * loss is divided by its element count, so a (100,) loss trains as its mean. A second call replaces the first. What it
   * returns has numbers of the step for the job to return: `gradientNorm`, `learningRate`, `step`.
   */
  minimize(loss: Blob | readonly Blob[], options: MinimizeOptions = {}): Minimization {
    const builder = currentBuilder(`${this.name}.minimize`);
    checkOptions(`${this.name}.minimize`, options, ["accumulate", "freeze"]);
    const { accumulate = 1 } = options;
    if (!Number.isInteger(accumulate) || accumulate < 1)
      throw new FlowError(
        "E_ARGUMENT",
        `${this.name}.minimize: accumulate is ${plainText(accumulate)}, expected a number of calls of at least 1`,
      );
    const losses = loss instanceof Blob ? [loss] : loss;
    if (!builder.training)
      throw new FlowError(
        "E_OPTIMIZER",
        `${this.name}.minimize: job '${builder.job}' is a predict job; declare it with { type: "train" }`,
      );
    if (!Array.isArray(losses) || losses.length === 0 || !losses.every((l) => l instanceof Blob))
      throw new FlowError("E_ARGUMENT", `${this.name}.minimize: expected a Blob or a non-empty array of Blobs`);
    for (const l of losses as readonly Blob[]) {
      if (!l.dtype.startsWith("float"))
        throw new FlowError("E_DTYPE", `${this.name}.minimize: the loss is ${textOf(l)}, expected a floating dtype`);
      if (textOf(l) !== textOf(losses[0]!))
        throw new FlowError(
          "E_SHAPE",
          `${this.name}.minimize: losses are ${textOf(losses[0]!)} and ${textOf(l)}, expected equal types`,
        );
    }
    objectives.set(builder, {
      optimizer: this,
      losses: [...losses],
      accumulate,
      freeze: patternList(`${this.name}.minimize: freeze`, options.freeze),
      rate: this.schedule instanceof CustomScheduler ? this.schedule.rate() : undefined,
      indexedSlices: [],
      step: this.trainStepLbn === undefined ? undefined : stepOf(this.name, this.trainStepLbn),
    });
    return new Minimization(builder);
  }
}

function stepOf(where: string, lbn: string): Blob {
  const step = blobNamed(`${where}: trainStepLbn`, lbn);
  if (step.dtype !== "int64" || sizeOf(step.shape) !== 1)
    throw new FlowError("E_DTYPE", `${where}: trainStepLbn '${lbn}' is ${textOf(step)}, expected int64[1]`);
  return reshape(step, [1]);
}

const clippings = new WeakSet<object>();

/**
 * Clips by the norm of all gradients together: each times `min(1, clipNorm / norm)`.
 * @flow optimizer.grad_clipping.by_global_norm
 * @example
 * ```ts
 * const gradClipping = flow.optimizer.gradClipping.byGlobalNorm(1);
 * const step = flow.globalFunction({ type: "train", name: "clipped", returns: tp.Numpy }, () => {
 *   const w = flow.getVariable("w", { shape: [2], initializer: flow.zerosInitializer() });
 *   const rate = new flow.optimizer.PiecewiseConstantScheduler([], [1]);
 *   // The gradient of the loss is [3, 3]; its norm, 4.24, is brought down to 1.
 *   const factors = flow.constant(3, { dtype: flow.float, shape: [2] });
 *   new flow.optimizer.SGD(rate, { momentum: 0, gradClipping }).minimize(flow.math.reduceSum(w.mul(factors)));
 *   return w;
 * });
 * await new flow.train.CheckPoint().init();
 * await step();
 * await step(); // -> [-0.70711, -0.70711]
 * ```
 */
export function byGlobalNorm(clipNorm: number): GradientClipping {
  if (!(typeof clipNorm === "number" && clipNorm > 0))
    throw new FlowError(
      "E_ARGUMENT",
      `gradClipping.byGlobalNorm: clipNorm is ${plainText(clipNorm)}, expected a positive number`,
    );
  const clipping = Object.freeze({ clipNorm });
  clippings.add(clipping);
  return clipping;
}
