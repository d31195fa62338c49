import { checkOptions, FlowError, textOfValue } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { namespace, textOf } from "../graph/trace.js";
import { type Initializer, zerosInitializer } from "../initializers/initializer.js";
import { requireFloat } from "../ops/define.js";
import { where as choose, greaterOp, holds, multiply } from "../ops/elementwise.js";
import type { Regularizer } from "../variables/regularizers.js";
import { layerVariable } from "./variable.js";

/** Options of `prelu`. */
export interface PreluOptions {
  /** Default zeros. */
  readonly alphaInitializer?: Initializer;
  /** A penalty on the slopes; default none. */
  readonly alphaRegularizer?: Regularizer;
  /** Axes along which one slope serves, counted from 1, the first behind the batch; default none. */
  readonly sharedAxes?: readonly number[] | null;
  /** Default true. */
  readonly trainable?: boolean;
  /** Default "PRelu"; two layers of one name in a job are an error. */
  readonly name?: string;
}

const known = ["alphaInitializer", "alphaRegularizer", "sharedAxes", "trainable", "name"] as const;

/**
 * `x` where x > 0, else `alpha x`: the variable `<name>-alpha`, of shape `inputs.shape[1:]` with 1 for shared axes and of the
 * input's dtype.
 * @flow layers.prelu
 * @example
 * ```ts job
 * // x = [[-2, 4]]
 * const alphaInitializer = flow.constantInitializer(0.25);
 * flow.layers.prelu(x, { alphaInitializer, sharedAxes: [1] }); // -> [[-0.5, 4]]
 * ```
 */
export function prelu(inputs: Blob, options: PreluOptions = {}): Blob {
  checkOptions("layers.prelu", options, known);
  const { alphaInitializer, alphaRegularizer, sharedAxes, trainable = true, name = "PRelu" } = options;
  const where = `layers.prelu '${name}'`;
  requireFloat(where, inputs, "inputs");
  const rank = inputs.shape.length;
  if (rank < 2)
    throw new FlowError(
      "E_SHAPE",
      `${where}: inputs are ${textOf(inputs)}, expected a rank of at least 2, batch first`,
    );
  const shared = sharedAxes ?? [];
  if (!Array.isArray(shared) || !shared.every((axis) => Number.isInteger(axis) && axis >= 1 && axis < rank))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: sharedAxes is ${textOfValue(sharedAxes)}${Array.isArray(shared) ? ` [${shared.join(", ")}]` : ""}, expected a list of axes of ${textOf(inputs)} from 1 to ${rank - 1}`,
    );
  const alpha = namespace(name, () =>
    layerVariable("alpha", {
      shape: inputs.shape.slice(1).map((size, i) => (shared.includes(i + 1) ? 1 : size)),
      dtype: inputs.dtype,
      initializer: alphaInitializer ?? zerosInitializer({ dtype: inputs.dtype }),
      regularizer: alphaRegularizer,
      trainable,
    }),
  );
  const positive = holds(greaterOp, inputs, 0);
  // The slope meets no positive value, so that an infinite one gives its gradient no NaN.
  return choose(positive, inputs, multiply(choose(positive, 0, inputs), alpha), { name });
}
