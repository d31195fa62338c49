import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { tinyLabels } from "./support.js";

/** Losses and weights after training, with or without watchers on everything. */
async function trained(engine: string, watching: boolean): Promise<unknown[]> {
  flow.config.engine(engine);
  flow.config.seed(3);
  let seen = 0;
  const look = (blob: flow.Blob): flow.Blob => {
    if (watching) {
      flow.watch(blob, () => void seen++);
      flow.watchDiff(blob, () => void seen++);
    }
    return blob;
  };
  const job = flow.globalFunction(
    { type: "train", name: "train_job", returns: tp.Numpy },
    [tp.Numpy.Placeholder([8, 1, 6, 6]), tp.Numpy.Placeholder([8], { dtype: flow.int32 })],
    (x, labels) => {
      const kernelInitializer = flow.truncatedNormal(0.3);
      const activation = (h: flow.Blob): flow.Blob => look(flow.nn.relu(look(h)));
      const conv = flow.layers.conv2d(x, 16, 3, { padding: "SAME", name: "conv", kernelInitializer, activation });
      const conv2 = flow.layers.conv2d(look(flow.nn.maxPool2d(conv, 2, 2, "SAME")), 16, 3, {
        padding: "SAME",
        name: "conv2",
        kernelInitializer,
        activation,
      });
      const hidden = flow.layers.dense(flow.reshape(look(conv2), [8, -1]), 12, {
        name: "dense1",
        kernelInitializer,
        activation,
      });
      const logits = look(
        flow.layers.dense(look(flow.nn.dropout(hidden, 0.3, { name: "drop" })), 2, {
          name: "dense2",
          kernelInitializer,
        }),
      );
      const loss = look(flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits));
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1])).minimize(loss);
      for (const name of ["conv-weight", "dense1-weight", "dense2-bias"]) look(flow.getVariable(name));
      return loss;
    },
  );
  await new flow.train.CheckPoint().init();
  const images = Float32Array.from({ length: 288 }, (_, i) => Math.sin(i));
  const results: unknown[] = [];
  for (let i = 0; i < 5; i++) results.push((await job(images, tinyLabels)).data);
  for (const name of ["conv-weight", "conv2-weight", "dense1-weight", "dense2-weight"])
    results.push((await flow.experimental.getInterfaceBlobValue(name)).data);
  expect(seen > 0).toBe(watching);
  await flow.clearDefaultSession();
  return results;
}

test.each(["onnx", "reference"])(
  "watchers on everything, convolutions among it, change no result, to the bit (%s)",
  async (engine) => {
    expect(await trained(engine, true)).toEqual(await trained(engine, false));
  },
);
