import { FlowError } from "../core/errors.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { type GraphBuilder, textOf } from "../graph/trace.js";

const types = {
  gradientNorm: { dtype: "float32", shape: [1] },
  learningRate: { dtype: "float32", shape: [1] },
  step: { dtype: "int64", shape: [1] },
} as const satisfies Record<string, BlobType>;

/** What only the optimizer, which is added to the graph after the job's function, can compute. */
export type TrainingValue = keyof typeof types;

const requested = new WeakMap<GraphBuilder, Map<TrainingValue, Blob>>();

/** Numbers of the training step, for the job to return or to watch; they cannot be used in other ops. */
export class Minimization {
  readonly #builder: GraphBuilder;
  constructor(builder: GraphBuilder) {
    this.#builder = builder;
  }

  /**
   * `sqrt` of the sum of squares of all gradients, averaged and regularized, before clipping; float32 `[1]`. While
   * gradients accumulate: of what has been gathered so far, over the number of calls of a whole update.
   */
  get gradientNorm(): Blob {
    return request(this.#builder, "gradientNorm");
  }

  /** The learning rate of this step; float32 `[1]`. */
  get learningRate(): Blob {
    return request(this.#builder, "learningRate");
  }

  /** Updates made before this call: 0 at the first; int64 `[1]`. */
  get step(): Blob {
    return request(this.#builder, "step");
  }
}

function request(builder: GraphBuilder, value: TrainingValue): Blob {
  const blobs = requested.get(builder) ?? new Map<TrainingValue, Blob>();
  requested.set(builder, blobs);
  const blob = blobs.get(value) ?? builder.input("placeholder", { name: `minimize.${value}`, ...types[value] });
  blobs.set(value, blob);
  return blob;
}

/** The values that the function of `traced` asked for, as the blobs that stand for them in every graph made of it. */
export function trainingValuesOf(traced: GraphBuilder): ReadonlyMap<TrainingValue, Blob> {
  return requested.get(traced) ?? new Map();
}

/** Puts what `compute` gives in the place of the values asked for, among the outputs and updates of `builder`. */
export function resolveTrainingValues(
  builder: GraphBuilder,
  asked: ReadonlyMap<TrainingValue, Blob>,
  compute: (value: TrainingValue) => Blob,
): void {
  for (const [value, stand] of asked) {
    const user = builder.nodes.find((node) => node.inputs.includes(stand));
    if (user !== undefined)
      throw new FlowError(
        "E_ARGUMENT",
        `job '${builder.job}': ${user.op}${user.name === undefined ? "" : ` '${user.name}'`} uses ${value} of minimize (${textOf(stand)}), which exists only after the optimizer; return or watch it instead`,
      );
    const computed = compute(value);
    builder.outputs.forEach((output, i) => {
      if (output === stand) builder.outputs[i] = computed;
    });
    for (const [variable, next] of builder.updates) if (next === stand) builder.updates.set(variable, computed);
    // Nobody feeds what stood for the value; a check of all values must not meet it.
    const at = builder.nodes.indexOf(stand.node);
    if (at !== -1) builder.nodes.splice(at, 1);
  }
}
