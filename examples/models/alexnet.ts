import * as flow from "onestep";
import { type CnnOptions, scaled } from "./cnn-options.js";

/**
 * AlexNet as OneFlow-Benchmark v0.2.0 has it (`Classification/cnns/alexnet_model.py`): one tower, mean pooling, no local response
 * normalization, no bias in the last layer. Logits of NCHW images; at 224 x 224 and width 1 it has 15 variables and 50,302,912
 * parameters. The smallest image is 67 x 67.
 */
export function alexnet(
  images: flow.Blob,
  { classes = 1000, width = 1, dropoutRate = 0.5 }: CnnOptions = {},
): flow.Blob {
  const regularizer = flow.regularizers.l2(0.00005);
  const initializer = flow.varianceScalingInitializer({ distribution: "random_normal", dataFormat: "NCHW" });
  const common = {
    activation: flow.nn.relu,
    kernelInitializer: initializer,
    kernelRegularizer: regularizer,
    biasRegularizer: regularizer,
  };
  const conv = (x: flow.Blob, n: number, filters: number, kernel: number, strides = 1): flow.Blob =>
    flow.layers.conv2d(x, scaled(filters, width), kernel, {
      ...common,
      strides,
      padding: strides === 1 ? "SAME" : "VALID",
      name: `conv${n}`,
    });
  const pool = (x: flow.Blob, n: number): flow.Blob => flow.nn.avgPool2d(x, 3, 2, "VALID", { name: `pool${n}` });

  const pool1 = pool(conv(images, 1, 64, 11, 4), 1);
  const pool2 = pool(conv(pool1, 2, 192, 5), 2);
  const conv4 = conv(conv(pool2, 3, 384, 3), 4, 384, 3);
  const pool5 = pool(conv(conv4, 5, 256, 3), 5);
  const flat = flow.reshape(pool5, [pool5.shape[0]!, -1]);

  const units = scaled(4096, width);
  const dense = (x: flow.Blob, n: number): flow.Blob =>
    flow.nn.dropout(flow.layers.dense(x, units, { ...common, name: `fc${n}` }), dropoutRate, { name: `dropout${n}` });
  return flow.layers.dense(dense(dense(flat, 1), 2), classes, {
    useBias: false,
    kernelInitializer: initializer,
    kernelRegularizer: regularizer,
    name: "fc3",
  });
}
