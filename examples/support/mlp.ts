import * as flow from "onestep";

/** The seed page's MLP 784-512-10; `extended` adds the layer of its fine-tuning half. */
export function mlp(images: flow.Blob, { extended = false } = {}): flow.Blob {
  const kernelInitializer = flow.truncatedNormal(0.1);
  const reshape = flow.reshape(images, [images.shape[0]!, -1]);
  const hidden = flow.layers.dense(reshape, 512, { activation: flow.nn.relu, kernelInitializer, name: "dense1" });
  const dense2 = flow.layers.dense(hidden, 10, { kernelInitializer, name: "dense2" });
  return extended ? flow.layers.dense(dense2, 10, { kernelInitializer, name: "dense3" }) : dense2;
}
