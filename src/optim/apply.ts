import { backpropagate } from "../autodiff/backpropagate.js";
import { clipByGlobalNorm, globalNorm } from "../autodiff/clip.js";
import { FlowError, nearest } from "../core/errors.js";
import { matchesAny, unusedPatterns } from "../core/pattern.js";
import { sizeOf } from "../core/shape.js";
import type { Blob } from "../graph/blob.js";
import { currentBuilder, emit } from "../graph/trace.js";
import { constantInitializer } from "../initializers/initializer.js";
import { add, cast, multiply, sign } from "../ops/elementwise.js";
import { gatherRows } from "../ops/indexing.js";
import { replaceRows } from "../ops/rows.js";
import { constantOp, zerosLike } from "../ops/sources.js";
import type { JobVariable, JobVariables } from "../variables/registry.js";
import type { Objective } from "./optimizer.js";
import { type Slices, slicesOf } from "./slices.js";
import { resolveTrainingValues, type TrainingValue } from "./training-values.js";

/** Name of the int64 `[1]` variable that counts the updates of a train job. */
export const trainStepName = (job: string): string => `System-Train-TrainStep-${job}`;
/** Name of the int64 `[1]` variable that counts the calls gathered for the next update of a job that accumulates. */
export const accumulationStepName = (job: string): string => `System-Train-AccumulationStep-${job}`;

/** One call of a train job: a whole update, a call that only gathers gradients for one, or the last of those. */
export type TrainPhase = "update" | "gather" | "gather and update";

/** What the optimizer needs besides its objective. */
export interface ApplyOptions {
  readonly phase: TrainPhase;
  /** Blobs whose gradient of the summed losses is wanted, before averaging. */
  readonly watched: readonly Blob[];
  /** The training values that the job's function asked for, as the blobs that stand for them. */
  readonly asked: ReadonlyMap<TrainingValue, Blob>;
}

/**
 * Appends backward pass, averaging, loss scale, regularizers, clipping, updates and the step counter to the current graph,
 * in the documented order. Returns the watched gradients, null where no loss depends on the blob.
 */
export function applyOptimizer(
  objective: Objective,
  variables: JobVariables,
  { phase, watched, asked }: ApplyOptions,
): readonly (Blob | null)[] {
  const { optimizer, losses, accumulate, freeze, ...given } = objective;
  const builder = currentBuilder("applyOptimizer");
  const where = `${optimizer.name}.minimize`;
  const trainable = unfrozen(where, builder.job, variables, freeze);
  const scale = optimizer.lossScaleFactor;
  const seeds = losses.map((loss) => emit(constantOp, [], { value: scale, dtype: loss.dtype, shape: loss.shape }));
  const found = backpropagate(losses, [...trainable.map((variable) => variable.blob), ...watched], seeds);
  const reached = trainable.flatMap((variable, i) => (found[i] == null ? [] : [{ variable, gradient: found[i] }]));
  if (reached.length === 0) {
    throw new FlowError(
      "E_OPTIMIZER",
      `${where}: the loss of job '${builder.job}' depends on no trainable variable${freeze.length > 0 ? " that is not frozen" : ""}; make it from layers or getVariable with trainable: true`,
    );
  }
  for (const { variable } of reached) assertNotAssigned(where, variable, builder.updates, builder.job);
  builder.origin = "the optimizer";

  const internal = (name: string, initial: number, dtype: Blob["dtype"], shape: readonly number[]): Blob =>
    variables.create(
      {
        name,
        shape,
        dtype,
        initializer: constantInitializer(initial, { dtype }),
        regularizer: undefined,
        randomSeed: undefined,
        fileName: "out",
        site: `${optimizer.name} of job '${builder.job}'`,
      },
      false,
    );
  const step = given.step ?? internal(trainStepName(builder.job), 0, "int64", [1]);
  const divisor = sizeOf(losses[0]!.shape) * scale * accumulate;
  const tables = slicesOfTables(where, objective, variables, reached);
  const means = reached.map(({ variable: { spec }, gradient }, i) => {
    const share = multiply(tables[i]?.sums ?? gradient, 1 / divisor);
    if (phase === "update") return share;
    const name = `${spec.name}-accumulated_gradient`;
    const gathered = internal(name, 0, spec.dtype, spec.shape);
    const sum = add(gathered, share);
    builder.update(name, phase === "gather" ? sum : zerosLike(gathered));
    return sum;
  });
  const regularized = means.map((mean, i) => regularize(mean, reached[i]!.variable));
  const learningRate = given.rate ?? optimizer.schedule.learningRate(step);
  if (phase !== "update") {
    const counter = accumulationStepName(builder.job);
    const calls = internal(counter, 0, "int64", [1]);
    builder.update(counter, phase === "gather" ? add(calls, 1) : zerosLike(calls));
  }
  if (phase !== "gather") {
    const clipped =
      optimizer.gradClipping === undefined
        ? regularized
        : clipByGlobalNorm(regularized, optimizer.gradClipping.clipNorm);
    for (const [i, { variable }] of reached.entries()) {
      const { name, dtype, shape } = variable.spec;
      // Of a table the rows that were read, one for each index: equal indices get equal rows, whichever is written last.
      const slices = tables[i];
      const read = (value: Blob): Blob => (slices === undefined ? value : gatherRows(value, slices.ids));
      const written = (value: Blob, next: Blob): Blob =>
        slices === undefined ? next : replaceRows(value, slices.ids, next);
      const next = optimizer.update({
        name,
        value: read(variable.blob),
        gradient: slices === undefined ? clipped[i]! : gatherRows(clipped[i]!, slices.groups),
        learningRate: cast(learningRate, dtype),
        slot: (suffix, initial, { scalar = false } = {}) => {
          const slotName = `${name}-${suffix}`;
          const value = internal(slotName, initial, dtype, scalar ? [1] : shape);
          return scalar
            ? { value, set: (blob) => builder.update(slotName, blob) }
            : { value: read(value), set: (blob) => builder.update(slotName, written(value, blob)) };
        },
      });
      builder.update(name, written(variable.blob, next));
    }
    if (given.step === undefined) builder.update(trainStepName(builder.job), add(step, 1));
  }
  resolveTrainingValues(builder, asked, (value) => {
    if (value === "step") return step;
    return value === "learningRate" ? learningRate : cast(globalNorm(regularized), "float32");
  });
  builder.origin = undefined;
  return found.slice(trainable.length).map((gradient) => (gradient === null ? null : multiply(gradient, 1 / scale)));
}

/** For each variable the slices of its gradient, where the function config asks for them. */
function slicesOfTables(
  where: string,
  { optimizer, indexedSlices, accumulate }: Objective,
  variables: JobVariables,
  reached: readonly { readonly variable: JobVariable; readonly gradient: Blob }[],
): readonly (Slices | undefined)[] {
  const wrong = (name: string, why: string): FlowError =>
    new FlowError(
      "E_OPTIMIZER",
      `${where}: functionConfig.indexedSlicesOptimizerConf names '${name}', but ${why}; take it out of the list, then it is updated as a whole`,
    );
  for (const name of indexedSlices) {
    if (variables.all.has(name)) continue;
    const near = nearest(name, variables.all.keys());
    throw wrong(name, `the job has no such variable${near === undefined ? "" : ` (did you mean '${near}'?)`}`);
  }
  return reached.map(({ variable: { spec }, gradient }) => {
    if (!indexedSlices.includes(spec.name)) return undefined;
    if (!optimizer.elementwise) throw wrong(spec.name, `${optimizer.name} needs the norm of the whole variable`);
    if (spec.regularizer !== undefined) throw wrong(spec.name, "its regularizer changes every row");
    if (accumulate > 1) throw wrong(spec.name, "gradients that are accumulated are as large as the variable");
    const slices = slicesOf(gradient);
    if (slices === undefined)
      throw wrong(spec.name, "its gradient is more than rows: something besides gather on axis 0 reads it");
    return slices;
  });
}

/** The trainable variables that no pattern freezes. */
function unfrozen(
  where: string,
  job: string,
  variables: JobVariables,
  freeze: Objective["freeze"],
): readonly JobVariable[] {
  const trainable = [...variables.all.values()].filter((variable) => variable.trainable);
  const names = trainable.map(({ spec }) => spec.name);
  const unused = unusedPatterns(freeze, names);
  if (unused.length > 0)
    throw new FlowError(
      "E_VARIABLE",
      `${where}: freeze names ${unused.map((pattern) => `'${pattern}'`).join(", ")}, which fits no trainable variable of job '${job}'; it has ${names.join(", ")}`,
    );
  return trainable.filter(({ spec }) => !matchesAny(freeze, spec.name));
}

function assertNotAssigned(
  where: string,
  { spec: { name } }: JobVariable,
  updates: ReadonlyMap<string, Blob>,
  job: string,
): void {
  if (updates.has(name))
    throw new FlowError(
      "E_UPDATE",
      `${where}: '${name}' is assigned in job '${job}' and trained there too; make it trainable: false, freeze it, or do not assign it`,
    );
}

/** `g + l1 sign(w) + l2 w`. */
function regularize(gradient: Blob, { spec: { regularizer }, blob }: JobVariable): Blob {
  if (regularizer === undefined) return gradient;
  const { l1, l2 } = regularizer;
  const withL1 = l1 === 0 ? gradient : add(gradient, multiply(sign(blob), l1));
  return l2 === 0 ? withL1 : add(withL1, multiply(blob, l2));
}
