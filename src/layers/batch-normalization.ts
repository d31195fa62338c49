import { checkOptions } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { currentBuilder, namespace } from "../graph/trace.js";
import { type Initializer, onesInitializer, zerosInitializer } from "../initializers/initializer.js";
import { relu } from "../ops/activation.js";
import { broadcastType, normalizeAxis, requireBlob, requireFloat } from "../ops/define.js";
import { add, cast, multiply } from "../ops/elementwise.js";
import { moments, batchNormalization as normalize } from "../ops/norm.js";
import type { Regularizer } from "../variables/regularizers.js";
import { layerVariable } from "./variable.js";

/** Options of `batchNormalization`. */
export interface BatchNormalizationOptions {
  /** The channel axis; default -1, so pass 1 for NCHW. */
  readonly axis?: number;
  /** Share of the old moving statistics at each step; default 0.99. */
  readonly momentum?: number;
  /** Added to the variance; default 0.001. */
  readonly epsilon?: number;
  /** Add `<name>-beta`; default true. */
  readonly center?: boolean;
  /** Multiply by `<name>-gamma`; default true. */
  readonly scale?: boolean;
  /** Default zeros. */
  readonly betaInitializer?: Initializer;
  /** Default ones. */
  readonly gammaInitializer?: Initializer;
  /** A penalty on the offset; default none. */
  readonly betaRegularizer?: Regularizer;
  /** A penalty on the scale; default none. */
  readonly gammaRegularizer?: Regularizer;
  /** Default zeros. */
  readonly movingMeanInitializer?: Initializer;
  /** Default ones. */
  readonly movingVarianceInitializer?: Initializer;
  /** False also turns training off; default true. */
  readonly trainable?: boolean;
  /** Normalize by the batch and follow it; default true, but false in predict jobs. */
  readonly training?: boolean;
  /** Default "BatchNorm"; two layers of one name in a job are an error. */
  readonly name?: string;
}

/** Options of `batchNormalizationAddRelu`. */
export interface BatchNormalizationAddOptions extends BatchNormalizationOptions {
  /** Added between normalization and relu; default nothing. */
  readonly addend?: Blob;
}

const known = [
  "axis",
  "momentum",
  "epsilon",
  "center",
  "scale",
  "betaInitializer",
  "gammaInitializer",
  "betaRegularizer",
  "gammaRegularizer",
  "movingMeanInitializer",
  "movingVarianceInitializer",
  "trainable",
  "training",
  "name",
] as const;

/**
 * `gamma (x - mean) / sqrt(variance + epsilon) + beta` along `axis`: variables `<name>-beta`, `<name>-gamma`,
 * `<name>-moving_mean`, `<name>-moving_variance`, each of shape [channels] and of the input's dtype (float32 for float16). In training, mean and population variance
 * are the batch's, gradients flow through them, and each step moves the moving ones: `moving = momentum moving + (1 -
 * momentum) batch`. Otherwise the moving ones normalize.
 * @flow layers.batch_normalization
 * @example
 * ```ts job
 * // x = [[1, 2], [3, 4]]
 * flow.layers.batchNormalization(x, { epsilon: 0, name: "bn" }); // -> [[1, 2], [3, 4]]
 * flow.getVariable("bn-moving_variance"); // -> [1, 1]
 * ```
 */
export function batchNormalization(inputs: Blob, options: BatchNormalizationOptions = {}): Blob {
  return normalized("layers.batchNormalization", inputs, options);
}

function normalized(where: string, inputs: Blob, options: BatchNormalizationOptions): Blob {
  checkOptions(where, options, known);
  const {
    axis = -1,
    momentum = 0.99,
    epsilon = 0.001,
    center = true,
    scale = true,
    betaInitializer = zerosInitializer(),
    gammaInitializer = onesInitializer(),
    betaRegularizer,
    gammaRegularizer,
    movingMeanInitializer = zerosInitializer(),
    movingVarianceInitializer = onesInitializer(),
    trainable = true,
    training = true,
    name = "BatchNorm",
  } = options;
  requireFloat(`${where} '${name}'`, inputs, "inputs");
  const at = normalizeAxis(`${where} '${name}'`, inputs.shape.length, axis);
  const builder = currentBuilder(where);
  // As documented, the variables of float16 inputs are float32.
  const wide = inputs.dtype === "float16" ? cast(inputs, "float32") : inputs;
  const variable = (
    part: string,
    initializer: Initializer,
    learned: { readonly trainable: boolean; readonly regularizer?: Regularizer | undefined },
  ): Blob =>
    layerVariable(part, {
      shape: [inputs.shape[at]!],
      dtype: wide.dtype,
      initializer,
      regularizer: undefined,
      ...learned,
    });

  return namespace(name, () => {
    const beta = center
      ? { offset: variable("beta", betaInitializer, { trainable, regularizer: betaRegularizer }) }
      : {};
    const gamma = scale
      ? { scale: variable("gamma", gammaInitializer, { trainable, regularizer: gammaRegularizer }) }
      : {};
    const movingMean = variable("moving_mean", movingMeanInitializer, { trainable: false });
    const movingVariance = variable("moving_variance", movingVarianceInitializer, { trainable: false });
    const shared = { ...beta, ...gamma, varianceEpsilon: epsilon, axis: at };
    if (!(training && trainable && builder.training))
      return cast(normalize(wide, movingMean, movingVariance, shared), inputs.dtype);
    const axes = inputs.shape.flatMap((_, i) => (i === at ? [] : [i]));
    const [mean, variance] = moments(wide, axes);
    for (const [moving, batch] of [
      [movingMean, mean],
      [movingVariance, variance],
    ] as const)
      builder.update(moving.opName, add(multiply(moving, momentum), multiply(batch, 1 - momentum)));
    return cast(normalize(wide, mean, variance, shared), inputs.dtype);
  });
}

/** `relu(batchNormalization(inputs))`.  @flow layers.batch_normalization_relu */
export function batchNormalizationRelu(inputs: Blob, options: BatchNormalizationOptions = {}): Blob {
  return relu(normalized("layers.batchNormalizationRelu", inputs, options));
}

/** `relu(batchNormalization(inputs) + addend)`; without `addend`, as `batchNormalizationRelu`.  @flow layers.batch_normalization_add_relu */
export function batchNormalizationAddRelu(inputs: Blob, options: BatchNormalizationAddOptions = {}): Blob {
  const where = "layers.batchNormalizationAddRelu";
  const { addend, ...rest } = checkOptions(where, options, [...known, "addend"]);
  if (addend !== undefined) {
    requireBlob(where, "addend", addend);
    requireBlob(where, "inputs", inputs);
    broadcastType(where, inputs, addend);
  }
  const normal = normalized(where, inputs, rest);
  return relu(addend === undefined ? normal : add(normal, addend));
}
