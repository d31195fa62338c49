import * as flow from "onestep";
import { type CnnOptions, scaled } from "./cnn-options.js";

/** Channels of the 13 convolutions, a pool behind each block. */
const blocks = [
  [64, 64],
  [128, 128],
  [256, 256, 256],
  [512, 512, 512],
  [512, 512, 512],
];

/**
 * VGG16 with batch normalization as OneFlow-Benchmark v0.2.0 has it (`Classification/cnns/vgg_model.py`), where the penalty reaches
 * the first dense layer alone. Logits of NCHW images; at 224 x 224 and width 1 it has 84 variables and 138,374,440 parameters,
 * 138,365,992 of them trainable. The smallest image is 32 x 32.
 */
export function vgg16bn(
  images: flow.Blob,
  { classes = 1000, width = 1, dropoutRate = 0.5 }: CnnOptions = {},
): flow.Blob {
  const kernelInitializer = flow.varianceScalingInitializer({
    scale: 2,
    mode: "fan_out",
    distribution: "random_normal",
    dataFormat: "NCHW",
  });
  let x = images;
  let index = 0;
  for (const [i, block] of blocks.entries()) {
    for (const filters of block) {
      const name = `conv${index++}`;
      const conv = flow.layers.conv2d(x, scaled(filters, width), 3, {
        padding: "SAME",
        kernelInitializer,
        name,
        weightName: `${name}_weight`,
        biasName: `${name}_bias`,
      });
      const bn = flow.layers.batchNormalization(conv, {
        axis: 1,
        momentum: 0.997,
        epsilon: 1.001e-5,
        name: `${name}_bn`,
      });
      x = flow.nn.relu(bn);
    }
    x = flow.nn.maxPool2d(x, 2, 2, "VALID", { name: `pool${i + 1}` });
  }

  const flat = flow.reshape(x, [x.shape[0]!, -1]);
  const regularizer = flow.regularizers.l2(0.00005);
  const dense = { kernelInitializer: flow.randomNormalInitializer(0, 0.01) };
  const hidden = { ...dense, activation: flow.nn.relu };
  const units = scaled(4096, width);
  const fc6 = flow.layers.dense(flat, units, {
    ...hidden,
    kernelRegularizer: regularizer,
    biasRegularizer: regularizer,
    name: "dense0",
  });
  const fc7 = flow.layers.dense(flow.nn.dropout(fc6, dropoutRate), units, { ...hidden, name: "dense1" });
  return flow.layers.dense(flow.nn.dropout(fc7, dropoutRate), classes, { ...dense, name: "dense2" });
}
