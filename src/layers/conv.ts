import { checkOptions, FlowError, plainText } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { namespace, textOf } from "../graph/trace.js";
import { type Initializer, zerosInitializer } from "../initializers/initializer.js";
import { glorotUniformInitializer } from "../initializers/variance-scaling.js";
import {
  conv1d as convolve1d,
  conv2d as convolve2d,
  conv3d as convolve3d,
  requireImages,
  toChannelsFirst,
  toChannelsLast,
} from "../ops/conv.js";
import { requireBlob } from "../ops/define.js";
import { biasAdd } from "../ops/linalg.js";
import { channelsFirst, channelsLast, type Padding, perAxis } from "../ops/window.js";
import type { Regularizer } from "../variables/regularizers.js";
import { type Activation, layerVariable, requireActivation } from "./variable.js";

/** Options of `conv1d`, `conv2d` and `conv3d`. */
export interface ConvOptions {
  /** A number or one per spatial axis; default 1. */
  readonly strides?: number | readonly number[];
  /** `"VALID"` (default), `"SAME"` (the odd cell before), `"SAME_UPPER"`, or one entry per axis of the input. */
  readonly padding?: Padding;
  /** Channels first (default: `"NCW"`, `"NCHW"`, `"NCDHW"`) or last (`"NWC"`, `"NHWC"`, `"NDHWC"`). */
  readonly dataFormat?: string;
  /** Distance between taps: a number or one per spatial axis; default 1. */
  readonly dilationRate?: number | readonly number[] | null;
  /** Default 1; with channels last there is one group only. */
  readonly groups?: number;
  /** Applied to the sum, such as `flow.nn.relu`; default none. */
  readonly activation?: Activation | null;
  /** Default true. */
  readonly useBias?: boolean;
  /** Default `glorotUniformInitializer({ dataFormat })`. */
  readonly kernelInitializer?: Initializer;
  /** Default zeros. */
  readonly biasInitializer?: Initializer;
  /** A penalty on the kernel; default none. */
  readonly kernelRegularizer?: Regularizer;
  /** A penalty on the bias; default none. */
  readonly biasRegularizer?: Regularizer;
  /** Default true. */
  readonly trainable?: boolean;
  /** Default "Conv1d", "Conv2d" or "Conv3d"; two layers of one name in a job are an error. */
  readonly name?: string;
  /** Name of the kernel, in place of `<name>-weight`. */
  readonly weightName?: string;
  /** Name of the bias, in place of `<name>-bias`. */
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
 * `activation(conv1d(x, W) + b)` of `[N, C, W]`: variables `<name>-weight` of shape [filters, in / groups, w] (NWC: [filters, w,
 * in]) and `<name>-bias` [filters], of the input's dtype. `kernelSize` defaults to 1.
 * @flow layers.conv1d
 * @example
 * ```ts job
 * // x = [[[1, 2, 3]]]
 * const kernelInitializer = flow.onesInitializer();
 * flow.layers.conv1d(x, 1, 2, { kernelInitializer, name: "conv1" }); // -> [[[3, 5]]]
 * ```
 */
export function conv1d(
  inputs: Blob,
  filters: number,
  kernelSize: number | readonly number[] = 1,
  options: ConvOptions = {},
): Blob {
  return convolution(1, inputs, filters, kernelSize, options);
}

/**
 * `activation(conv2d(x, W) + b)`: variables `<name>-weight` of shape [filters, in / groups, h, w] (NHWC: [filters, h,
 * w, in]) and `<name>-bias` [filters], of the input's dtype. `kernelSize` defaults to 1.
 * @flow layers.conv2d
 * @example
 * ```ts job
 * // images = [[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]]
 * const kernelInitializer = flow.onesInitializer();
 * const y = flow.layers.conv2d(images, 2, 3, { padding: "SAME", kernelInitializer, activation: flow.nn.relu, name: "conv1" });
 * y.shape; // -> [1, 2, 3, 3]
 * flow.math.reduceMax(y, { axis: [2, 3] }); // -> [[45, 45]]
 * ```
 */
export function conv2d(
  inputs: Blob,
  filters: number,
  kernelSize: number | readonly number[] = 1,
  options: ConvOptions = {},
): Blob {
  return convolution(2, inputs, filters, kernelSize, options);
}

/**
 * `activation(conv3d(x, W) + b)` of `[N, C, D, H, W]`: variables `<name>-weight` of shape [filters, in / groups, d, h, w], with
 * `"NDHWC"` too, and `<name>-bias` [filters], of the input's dtype. `kernelSize` defaults to 1.
 * @flow layers.conv3d
 * @example
 * ```ts job
 * // x = [[[[[1, 2]], [[3, 4]]]]]
 * const kernelInitializer = flow.onesInitializer();
 * flow.layers.conv3d(x, 1, [2, 1, 1], { kernelInitializer, name: "conv1" }); // -> [[[[[4, 6]]]]]
 * ```
 */
export function conv3d(
  inputs: Blob,
  filters: number,
  kernelSize: number | readonly number[] = 1,
  options: ConvOptions = {},
): Blob {
  return convolution(3, inputs, filters, kernelSize, options);
}

const convolve = { 1: convolve1d, 2: convolve2d, 3: convolve3d };

function convolution(
  spatial: 1 | 2 | 3,
  inputs: Blob,
  filters: number,
  kernelSize: number | readonly number[],
  options: ConvOptions,
): Blob {
  const what = `layers.conv${spatial}d`;
  checkOptions(what, options, known);
  requireBlob(what, "inputs", inputs);
  const {
    strides = 1,
    padding = "VALID",
    dataFormat: given = channelsFirst(spatial),
    dilationRate,
    groups = 1,
    activation,
    useBias = true,
    biasInitializer = zerosInitializer({ dtype: inputs.dtype }),
    kernelRegularizer,
    biasRegularizer,
    trainable = true,
    name = `Conv${spatial}d`,
    weightName,
    biasName,
  } = options;
  const where = `${what} '${name}'`;
  requireActivation(where, activation);
  requireImages(where, "inputs", inputs, spatial);
  const last = channelsLast(where, given, spatial);
  const channels = inputs.shape[last ? spatial + 1 : 1]!;
  if (!(Number.isInteger(filters) && filters > 0))
    throw new FlowError("E_ARGUMENT", `${where}: filters is ${plainText(filters)}, expected a positive integer`);
  if (!(Number.isInteger(groups) && groups > 0 && filters % groups === 0 && channels % groups === 0))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: groups is ${plainText(groups)}, expected a divisor of ${filters} filters and of the ${channels} channels of ${textOf(inputs)}`,
    );
  if (last && groups !== 1)
    throw new FlowError("E_ARGUMENT", `${where}: groups is ${plainText(groups)}, expected 1 with dataFormat ${given}`);
  // As documented, three axes with channels last are convolved with channels first, and so are their filters.
  const turned = last && spatial === 3;
  const dataFormat = turned ? channelsFirst(spatial) : given;
  const x = turned ? toChannelsFirst(inputs) : inputs;
  const pads = turned && Array.isArray(padding) && padding.length === 5 ? moveLast(padding) : padding;
  const kernel = perAxis(where, "kernelSize", kernelSize, spatial);
  const shape = last && !turned ? [filters, ...kernel, channels] : [filters, channels / groups, ...kernel];
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
  const convolved = convolve[spatial](x, weight, strides, pads, {
    dataFormat,
    dilations: dilationRate ?? 1,
    groups,
    name,
  });
  const output = turned ? toChannelsLast(convolved) : convolved;
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
    return inside(() => biasAdd(output, b, { dataFormat: given, name: "bias_add" }));
  }
}

/** An entry per axis of `[N, ..., C]`, in the order of `[N, C, ...]`. */
function moveLast<T>(entries: readonly T[]): readonly T[] {
  return [entries[0]!, entries.at(-1)!, ...entries.slice(1, -1)];
}
