import type { DType } from "../core/dtype.js";
import { FlowError } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import type { Initializer } from "../initializers/initializer.js";
import { getVariable } from "../variables/registry.js";
import type { Regularizer } from "../variables/regularizers.js";

/** A function applied to a layer's output; it is called with `{ name }`, as documented. */
export type Activation = (x: Blob, options: { readonly name: string }) => Blob;

/** E_ARGUMENT where an activation is given that is no function. */
export function checkActivation(where: string, activation: unknown): void {
  if (activation !== undefined && activation !== null && typeof activation !== "function")
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: the activation is ${typeof activation === "string" ? `"${activation}"` : typeof activation}, expected a function such as flow.nn.relu`,
    );
}

/** What a layer says of one of its variables. */
export interface LayerVariable {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly initializer: Initializer;
  readonly regularizer: Regularizer | undefined;
  readonly trainable: boolean;
}

/** A variable that belongs to one layer: its name must be new in the job. */
export function layerVariable(name: string, { regularizer, ...options }: LayerVariable): Blob {
  return getVariable(name, { ...options, reuse: false, ...(regularizer === undefined ? {} : { regularizer }) });
}
