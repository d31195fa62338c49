import * as flow from "onestep";
import { type CnnOptions, scaled } from "./cnn-options.js";

/** Options of `resnet50`, under the names of the original's command line. */
export interface ResnetOptions extends CnnOptions {
  /** Factor of the l2 penalty on every trainable variable; 0 is none. Default 1/32768, the recipe's. */
  readonly weightDecay?: number;
  /** Images are NHWC, filters [out, h, w, in]; default false. Checkpoints of the two are not interchangeable. */
  readonly channelLast?: boolean;
  /** `layers.batchNormalizationRelu`, whose variables are named `..._bn_relu-*`; default false. */
  readonly fuseBnRelu?: boolean;
  /** `layers.batchNormalizationAddRelu` at the end of blocks, `..._bn_add_relu-*`; default false. */
  readonly fuseBnAddRelu?: boolean;
  /** Pads the images to four channels with zeros; default false. */
  readonly padOutput?: boolean;
  /** Default true. */
  readonly trainable?: boolean;
  /** Normalize by the batch in train jobs; default true. */
  readonly training?: boolean;
  /** Blocks of each stage; default [3, 4, 6, 3]. Ours, for tests and for measuring how time grows with depth. */
  readonly blocks?: readonly number[];
}

/**
 * ResNet50 v1.5 (the stride of a block is on its 3 x 3 convolution) as OneFlow-Benchmark v0.2.0 has it
 * (`Classification/cnns/resnet_model.py`). The last normalization of each block starts as zero: gamma and, as there, the moving
 * variance. Logits; at width 1 it has 267 variables and 25,610,152 parameters, 25,557,032 of them trainable. The last pool covers
 * all places (7 x 7 for images of 224), so images of any size fit.
 */
export function resnet50(images: flow.Blob, options: ResnetOptions = {}): flow.Blob {
  const {
    classes = 1000,
    width = 1,
    weightDecay = 1 / 32768,
    channelLast = false,
    fuseBnRelu = false,
    fuseBnAddRelu = false,
    padOutput = false,
    trainable = true,
    training = true,
    blocks = [3, 4, 6, 3],
  } = options;
  const dataFormat = channelLast ? "NHWC" : "NCHW";
  const channelAxis = channelLast ? 3 : 1;
  const penalty = weightDecay === 0 ? undefined : flow.regularizers.l2(weightDecay);
  const regularizer = (...keys: readonly string[]) =>
    penalty === undefined ? {} : Object.fromEntries(keys.map((key) => [key, penalty]));
  const kernelInitializer = flow.varianceScalingInitializer({ scale: 2, distribution: "random_normal", dataFormat });

  const conv = (name: string, x: flow.Blob, filters: number, kernel: number, strides: number): flow.Blob =>
    flow.layers.conv2d(x, filters, kernel, {
      strides,
      padding: strides > 1 || kernel > 1 ? "SAME" : "VALID",
      dataFormat,
      useBias: false,
      kernelInitializer,
      ...regularizer("kernelRegularizer"),
      trainable,
      name,
    });
  const normalization = (name: string, { last = false } = {}) => {
    const initializer = last ? flow.zerosInitializer() : flow.onesInitializer();
    return {
      axis: channelAxis,
      momentum: 0.9,
      epsilon: 1e-5,
      gammaInitializer: initializer,
      movingVarianceInitializer: initializer,
      ...regularizer("gammaRegularizer", "betaRegularizer"),
      trainable,
      training,
      name,
    };
  };
  const normalizedRelu = (name: string, x: flow.Blob): flow.Blob =>
    fuseBnRelu
      ? flow.layers.batchNormalizationRelu(x, normalization(`${name}_bn_relu`))
      : flow.nn.relu(flow.layers.batchNormalization(x, normalization(`${name}_bn`)));
  const normalizedAddRelu = (name: string, x: flow.Blob, addend: flow.Blob): flow.Blob =>
    fuseBnAddRelu
      ? flow.layers.batchNormalizationAddRelu(x, { ...normalization(`${name}_bn_add_relu`, { last: true }), addend })
      : flow.nn.relu(flow.layers.batchNormalization(x, normalization(`${name}_bn`, { last: true })).add(addend));

  const block = (name: string, x: flow.Blob, inner: number, strides: number, first: boolean): flow.Blob => {
    const shortcut = first
      ? flow.layers.batchNormalization(
          conv(`${name}_branch1`, x, 4 * inner, 1, strides),
          normalization(`${name}_branch1_bn`),
        )
      : x;
    const a = normalizedRelu(`${name}_branch2a`, conv(`${name}_branch2a`, x, inner, 1, 1));
    const b = normalizedRelu(`${name}_branch2b`, conv(`${name}_branch2b`, a, inner, 3, strides));
    return normalizedAddRelu(`${name}_branch2c`, conv(`${name}_branch2c`, b, 4 * inner, 1, 1), shortcut);
  };

  const extra = [0, 0, 0, 0].map((_, axis) => [0, axis === channelAxis ? 1 : 0] as const);
  const input = padOutput ? flow.pad(images, extra) : images;
  return flow.scope.namespace("Resnet", () => {
    const stem = normalizedRelu("conv1", conv("conv1", input, scaled(64, width), 7, 2));
    let x = flow.nn.maxPool2d(stem, 3, 2, "SAME", { dataFormat, name: "pool1" });
    for (const [stage, count] of blocks.entries())
      for (let i = 0; i < count; i++)
        x = block(`res${stage + 2}_${i}`, x, scaled(64 * 2 ** stage, width), stage > 0 && i === 0 ? 2 : 1, i === 0);
    const places = channelLast ? x.shape.slice(1, 3) : x.shape.slice(2);
    const pool5 = flow.nn.avgPool2d(x, places, 1, "VALID", { dataFormat, name: "pool5" });
    return flow.layers.dense(flow.reshape(pool5, [pool5.shape[0]!, -1]), classes, {
      kernelInitializer: flow.varianceScalingInitializer({ scale: 2, distribution: "random_normal" }),
      ...regularizer("kernelRegularizer", "biasRegularizer"),
      trainable,
      name: "fc1001",
    });
  });
}
