// Loads a saved LeNet and counts its hits on MNIST's test images. Argument: folder (./lenet_models_1).
import * as flow from "onestep";
import { tp } from "onestep";

const BATCH_SIZE = 100;
const folder = process.argv[2] ?? "./lenet_models_1";

function lenet(data: flow.Blob): flow.Blob {
  const kernelInitializer = flow.truncatedNormal(0.1);
  const conv1 = flow.layers.conv2d(data, 32, 5, {
    padding: "SAME",
    activation: flow.nn.relu,
    name: "conv1",
    kernelInitializer,
  });
  const pool1 = flow.nn.maxPool2d(conv1, 2, 2, "SAME", { name: "pool1", dataFormat: "NCHW" });
  const conv2 = flow.layers.conv2d(pool1, 64, 5, {
    padding: "SAME",
    activation: flow.nn.relu,
    name: "conv2",
    kernelInitializer,
  });
  const pool2 = flow.nn.maxPool2d(conv2, 2, 2, "SAME", { name: "pool2", dataFormat: "NCHW" });
  const reshape = flow.reshape(pool2, [pool2.shape[0]!, -1]);
  const hidden = flow.layers.dense(reshape, 512, { activation: flow.nn.relu, kernelInitializer, name: "dense1" });
  return flow.layers.dense(hidden, 10, { kernelInitializer, name: "dense2" });
}

const evalJob = flow.globalFunction(
  { type: "predict", name: "eval_job", returns: [tp.Numpy, tp.Numpy] },
  [
    tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float }),
    tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 }),
  ],
  (images, labels) => [labels, lenet(images)] as const,
);

await new flow.train.CheckPoint().load(folder);
const [, [testImages, testLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);
let total = 0;
let correct = 0;
for (const [i, images] of testImages.entries()) {
  const [labels, logits] = await evalJob(images, testLabels[i]!);
  for (let row = 0; row < BATCH_SIZE; row++) {
    total++;
    if (logits.slice(row, row + 1).argmax() === labels.data[row]) correct++;
  }
}
console.log(`accuracy: ${((100 * correct) / total).toFixed(1)}%`);
