import { checkOptions, FlowError } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { namespace, textOf } from "../graph/trace.js";
import { type Initializer, zerosInitializer } from "../initializers/initializer.js";
import { glorotUniformInitializer } from "../initializers/variance-scaling.js";
import { conv2d as convolution, requireImages } from "../ops/conv.js";
import { biasAdd } from "../ops/linalg.js";
import { channelsLast, type Padding, perAxis } from "../ops/window.js";
import type { Regularizer } from "../variables/regularizers.js";
import { type Activation, checkActivation, layerVariable } from "./variable.js";

export interface Conv2dOptions {
  /** A number or one per spatial axis; default 1. */
  readonly strides?: number | readonly number[];
  /** `"VALID"` (default), `"SAME"` (the odd cell before), `"SAME_UPPER"`, or one entry per axis of the input. */
  readonly padding?: Padding;
  /** `"NCHW"` (default) or `"NHWC"`. */
  readonly dataFormat?: string;
  /** Default 1. */
  readonly dilationRate?: number | readonly number[] | null;
  /** Default 1; NHWC has one group only. */
  readonly groups?: number;
  readonly activation?: Activation | null;
  /** Default true. */
  readonly useBias?: boolean;
  /** Default `glorotUniformInitializer({ dataFormat })`. */
  readonly kernelInitializer?: Initializer;
  /** Default zeros. */
  readonly biasInitializer?: Initializer;
  readonly kernelRegularizer?: Regularizer;
  readonly biasRegularizer?: Regularizer;
  /** Default true. */
  readonly trainable?: boolean;
  /** Default "Conv2d"; two layers of one name in a job are an error. */
  readonly name?: string;
  /** Names of the variables, in place of `<name>-weight` and `<name>-bias`. */
  readonly weightName?: string;
  readonly biasName?: string;
}

const known = [
  "strides",
  "padding",
  "dataFormat",
  "dilationRate",
  "groups",
  "activation",
  "useBias",
  "kernelInitializer",
  "biasInitializer",
  "kernelRegularizer",
  "biasRegularizer",
  "trainable",
  "name",
  "weightName",
  "biasName",
] as const;

/**
 * `activation(conv2d(x, W) + b)`: variables `<name>-weight` of shape [filters, in / groups, h, w] (NHWC: [filters, h, w, in])
 * and `<name>-bias` [filters], of the input's dtype. `kernelSize` defaults to 1.
 * @flow layers.conv2d
 */
export function conv2d(
  inputs: Blob,
  filters: number,
  kernelSize: number | readonly number[] = 1,
  options: Conv2dOptions = {},
): Blob {
  checkOptions("layers.conv2d", options, known);
  const {
    strides = 1,
    padding = "VALID",
    dataFormat = "NCHW",
    dilationRate,
    groups = 1,
    activation,
    useBias = true,
    biasInitializer = zerosInitializer({ dtype: inputs.dtype }),
    kernelRegularizer,
    biasRegularizer,
    trainable = true,
    name = "Conv2d",
    weightName,
    biasName,
  } = options;
  const where = `layers.conv2d '${name}'`;
  requireImages(where, "inputs", inputs);
  checkActivation(where, activation);
  const last = channelsLast(where, dataFormat, 2);
  const channels = inputs.shape[last ? 3 : 1]!;
  if (!(Number.isInteger(filters) && filters > 0))
    throw new FlowError("E_ARGUMENT", `${where}: filters is ${filters}, expected a positive integer`);
  if (!(Number.isInteger(groups) && groups > 0 && filters % groups === 0 && channels % groups === 0))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: groups is ${groups}, expected a divisor of ${filters} filters and of the ${channels} channels of ${textOf(inputs)}`,
    );
  if (last && groups !== 1)
    throw new FlowError("E_ARGUMENT", `${where}: groups is ${groups}, expected 1 with dataFormat NHWC`);
  const kernel = perAxis(where, "kernelSize", kernelSize, 2);
  const shape = last ? [filters, ...kernel, channels] : [filters, channels / groups, ...kernel];
  const { kernelInitializer = glorotUniformInitializer({ dataFormat }) } = options;
  const common = { dtype: inputs.dtype, trainable };
  const inside = <T>(fn: () => T): T => namespace(name, fn);
  const own = (given: string | undefined, part: string, variable: Parameters<typeof layerVariable>[1]): Blob =>
    given === undefined ? inside(() => layerVariable(part, variable)) : layerVariable(given, variable);

  const weight = own(weightName, "weight", {
    ...common,
    shape,
    initializer: kernelInitializer,
    regularizer: kernelRegularizer,
  });
  const output = convolution(inputs, weight, strides, padding, {
    dataFormat,
    dilations: dilationRate ?? 1,
    groups,
    name,
  });
  const bias = (): Blob =>
    own(biasName, "bias", {
      ...common,
      shape: [filters],
      initializer: biasInitializer,
      regularizer: biasRegularizer,
    });
  const biased = useBias ? addBias(bias()) : output;
  return activation == null ? biased : inside(() => activation(biased, { name: "activation" }));

  function addBias(b: Blob): Blob {
    return inside(() => biasAdd(output, b, { dataFormat, name: "bias_add" }));
  }
}
