import * as flow from "onestep";
import { type CnnOptions, scaled } from "./cnn-options.js";

/** Expansion, output channels, repetitions, stride of the first. */
const stages = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

interface Unit {
  readonly kernel?: number;
  readonly strides?: number;
  readonly groups?: number;
  /** Ends in relu6; default true. */
  readonly active?: boolean;
}

/**
 * MobileNetV2 as OneFlow-Benchmark v0.2.0 has it (`Classification/cnns/mobilenet_v2_model.py`). Logits of NCHW images; at width 1
 * it has 261 variables and 3,537,984 parameters, 3,503,872 of them trainable. The last pool covers all places (7 x 7 for images of
 * 224), so images of any size fit. As there, a width below 1 leaves the last convolution at 1280 channels.
 */
export function mobilenetV2(images: flow.Blob, { classes = 1000, width = 1 }: CnnOptions = {}): flow.Blob {
  const regularizer = flow.regularizers.l2(0.00004);
  const kernelInitializer = flow.varianceScalingInitializer({
    scale: 2,
    mode: "fan_out",
    distribution: "random_normal",
    dataFormat: "NCHW",
  });
  const unit = (
    name: string,
    x: flow.Blob,
    filters: number,
    { kernel = 1, strides = 1, groups = 1, active = true }: Unit = {},
  ): flow.Blob => {
    const conv = flow.layers.conv2d(x, filters, kernel, {
      strides,
      padding: kernel === 1 ? "VALID" : "SAME",
      groups,
      useBias: false,
      kernelInitializer,
      kernelRegularizer: regularizer,
      name,
    });
    const bn = flow.layers.batchNormalization(conv, {
      axis: 1,
      momentum: 0.9,
      epsilon: 1e-5,
      betaRegularizer: regularizer,
      gammaRegularizer: regularizer,
      name: `${name}-BatchNorm`,
    });
    return active ? flow.clipByValue(bn, { minValue: 0, maxValue: 6, name: `${name}-relu6` }) : bn;
  };

  return flow.scope.namespace("MobilenetV2", () => {
    let channels = scaled(32, width);
    let x = unit("Conv", images, channels, { kernel: 3, strides: 2 });
    let index = 0;
    for (const [expansion, out, count, stride] of stages)
      for (let i = 0; i < count; i++) {
        const name = index === 0 ? "expanded_conv" : `expanded_conv_${index}`;
        const wide = channels * expansion;
        const expanded = index === 0 ? x : unit(`${name}-expand`, x, wide);
        const strides = i === 0 ? stride : 1;
        const depthwise = unit(`${name}-depthwise`, expanded, wide, { kernel: 3, strides, groups: wide });
        const projected = unit(`${name}-project`, depthwise, scaled(out, width), { active: false });
        x = i === 0 ? projected : x.add(projected);
        channels = scaled(out, width);
        index++;
      }
    const last = unit("Conv_1", x, scaled(1280, Math.max(1, width)));
    const pool = flow.nn.avgPool2d(last, last.shape.slice(2), 1, "VALID", { name: "pool5" });
    return flow.layers.dense(flow.reshape(pool, [pool.shape[0]!, -1]), classes, {
      useBias: false,
      kernelInitializer: flow.randomNormalInitializer(0, 0.01),
      kernelRegularizer: regularizer,
      name: "fc",
    });
  });
}
