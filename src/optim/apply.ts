import { clipByGlobalNorm } from "../autodiff/clip.js";
import { gradients } from "../autodiff/gradients.js";
import { FlowError } from "../core/errors.js";
import { sizeOf } from "../core/shape.js";
import type { Blob } from "../graph/blob.js";
import { currentBuilder, emit } from "../graph/trace.js";
import { constantInitializer } from "../initializers/initializer.js";
import { add, cast, multiply, sign } from "../ops/elementwise.js";
import { constantOp } from "../ops/sources.js";
import type { JobVariable, JobVariables } from "../variables/registry.js";
import type { Objective } from "./optimizer.js";

/** Name of the int64 `[1]` variable that counts the calls of a train job. */
export const trainStepName = (job: string): string => `System-Train-TrainStep-${job}`;

/**
 * Appends backward pass, averaging, loss scale, regularizers, clipping, updates and the step counter to the current graph,
 * in the documented order.
 */
export function applyOptimizer({ optimizer, losses }: Objective, variables: JobVariables): void {
  const builder = currentBuilder("applyOptimizer");
  const trainable = [...variables.all.values()].filter((variable) => variable.trainable);
  const scale = optimizer.lossScaleFactor;
  const seeds = losses.map((loss) => emit(constantOp, [], { value: scale, dtype: loss.dtype, shape: loss.shape }));
  const found = gradients(
    losses,
    trainable.map((variable) => variable.blob),
    seeds,
  );
  const reached = trainable.flatMap((variable, i) => (found[i] == null ? [] : [{ variable, gradient: found[i] }]));
  if (reached.length === 0) {
    throw new FlowError(
      "E_OPTIMIZER",
      `${optimizer.name}.minimize: the loss of job '${builder.job}' depends on no trainable variable; make it from layers or getVariable with trainable: true`,
    );
  }
  const divisor = sizeOf(losses[0]!.shape) * scale;
  const regularized = reached.map(({ variable, gradient }) => regularize(multiply(gradient, 1 / divisor), variable));
  const clipped =
    optimizer.gradClipping === undefined ? regularized : clipByGlobalNorm(regularized, optimizer.gradClipping.clipNorm);

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
  const step = internal(trainStepName(builder.job), 0, "int64", [1]);
  const learningRate = optimizer.schedule.learningRate(step);
  for (const [i, { variable }] of reached.entries()) {
    const { name, dtype, shape } = variable.spec;
    if (builder.updates.has(name))
      throw new FlowError(
        "E_UPDATE",
        `${optimizer.name}.minimize: '${name}' is assigned in job '${builder.job}' and trained there too; make it trainable: false or do not assign it`,
      );
    const next = optimizer.update({
      value: variable.blob,
      gradient: clipped[i]!,
      learningRate: cast(learningRate, dtype),
      slot: (suffix, initial, { scalar = false } = {}) => {
        const slotName = `${name}-${suffix}`;
        const value = internal(slotName, initial, dtype, scalar ? [1] : shape);
        return { value, set: (blob) => builder.update(slotName, blob) };
      },
    });
    builder.update(name, next);
  }
  builder.update(trainStepName(builder.job), add(step, 1));
}

/** `g + l1 sign(w) + l2 w`. */
function regularize(gradient: Blob, { spec: { regularizer }, blob }: JobVariable): Blob {
  if (regularizer === undefined) return gradient;
  const { l1, l2 } = regularizer;
  const withL1 = l1 === 0 ? gradient : add(gradient, multiply(sign(blob), l1));
  return l2 === 0 ? withL1 : add(withL1, multiply(blob, l2));
}
