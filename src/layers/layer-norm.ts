import { checkOptions } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { namespace } from "../graph/trace.js";
import { onesInitializer, zerosInitializer } from "../initializers/initializer.js";
import { normalizeAxis, requireBlob } from "../ops/define.js";
import { layerNorm as normalize } from "../ops/norm.js";
import { layerVariable } from "./variable.js";

/** Options of `layerNorm`. */
export interface LayerNormOptions {
  /** Add `<name>-beta`; default true. */
  readonly center?: boolean;
  /** Multiply by `<name>-gamma`; default true. */
  readonly scale?: boolean;
  /** Default true. */
  readonly trainable?: boolean;
  /** The first of the axes that are normalized together; default 1. */
  readonly beginNormAxis?: number;
  /** The first of the axes that beta and gamma span; default -1. */
  readonly beginParamsAxis?: number;
  /** Added to the variance; default 1e-5. */
  readonly epsilon?: number;
  /** Default "LayerNorm"; two layers of one name in a job are an error. */
  readonly name?: string;
}

const known = ["center", "scale", "trainable", "beginNormAxis", "beginParamsAxis", "epsilon", "name"] as const;

/**
 * `gamma (x - mean) / sqrt(variance + epsilon) + beta` over the axes from `beginNormAxis` on: variables `<name>-beta`
 * (zeros) and `<name>-gamma` (ones) of shape `inputs.shape[beginParamsAxis:]`. (v0.2's CPU path left gamma out.)
 * @flow layers.layer_norm
 * @example
 * ```ts job
 * // x = [[1, 3]]
 * flow.layers.layerNorm(x, { epsilon: 0 }); // -> [[-1, 1]]
 * ```
 */
export function layerNorm(inputs: Blob, options: LayerNormOptions = {}): Blob {
  checkOptions("layers.layerNorm", options, known);
  requireBlob("layers.layerNorm", "inputs", inputs);
  const { center = true, scale = true, trainable = true, beginParamsAxis = -1, name = "LayerNorm", ...rest } = options;
  const shape = inputs.shape.slice(normalizeAxis(`layers.layerNorm '${name}'`, inputs.shape.length, beginParamsAxis));
  const common = { shape, dtype: inputs.dtype, regularizer: undefined, trainable };
  return namespace(name, () => {
    const beta = center ? { beta: layerVariable("beta", { ...common, initializer: zerosInitializer() }) } : {};
    const gamma = scale ? { gamma: layerVariable("gamma", { ...common, initializer: onesInitializer() }) } : {};
    return normalize(inputs, { ...beta, ...gamma, ...rest, beginParamsAxis });
  });
}
