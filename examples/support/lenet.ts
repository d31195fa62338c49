import * as flow from "onestep";

/** The documented LeNet on NCHW images of MNIST: logits; `train` puts dropout before the last layer. */
export function lenet(data: flow.Blob, { train = false } = {}): flow.Blob {
  const kernelInitializer = flow.truncatedNormal(0.1);
  const common = { padding: "SAME", activation: flow.nn.relu, kernelInitializer } as const;
  const conv1 = flow.layers.conv2d(data, 32, 5, { ...common, name: "conv1" });
  const pool1 = flow.nn.maxPool2d(conv1, 2, 2, "SAME", { name: "pool1" });
  const conv2 = flow.layers.conv2d(pool1, 64, 5, { ...common, name: "conv2" });
  const pool2 = flow.nn.maxPool2d(conv2, 2, 2, "SAME", { name: "pool2" });
  const flat = flow.reshape(pool2, [pool2.shape[0]!, -1]);
  const dense1 = flow.layers.dense(flat, 512, { activation: flow.nn.relu, kernelInitializer, name: "dense1" });
  const hidden = train ? flow.nn.dropout(dense1, 0.5, { name: "dropout" }) : dense1;
  return flow.layers.dense(hidden, 10, { kernelInitializer, name: "dense2" });
}
