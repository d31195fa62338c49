// Trains LeNet on MNIST and saves it: the documented program. Arguments: epochs (20), folder (./lenet_models_1).
import * as flow from "onestep";
import { tp } from "onestep";

const BATCH_SIZE = 100;
const epochs = Number(process.argv[2] ?? 20);
const folder = process.argv[3] ?? "./lenet_models_1";

function lenet(data: flow.Blob, { train = false } = {}): flow.Blob {
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
  let hidden = flow.layers.dense(reshape, 512, { activation: flow.nn.relu, kernelInitializer, name: "dense1" });
  if (train) hidden = flow.nn.dropout(hidden, 0.5, { name: "dropout" });
  return flow.layers.dense(hidden, 10, { kernelInitializer, name: "dense2" });
}

const trainJob = flow.globalFunction(
  { type: "train", name: "train_job", returns: tp.Numpy },
  [
    tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float }),
    tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 }),
  ],
  (images, labels) => {
    const loss = flow.scope.placement("cpu", "0:0", () => {
      const logits = lenet(images, { train: true });
      return flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits, { name: "softmax_loss" });
    });
    const lrScheduler = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
    new flow.optimizer.SGD(lrScheduler, { momentum: 0 }).minimize(loss);
    return loss;
  },
);

const checkPoint = new flow.train.CheckPoint();
await checkPoint.init();
const [[trainImages, trainLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);
for (let epoch = 0; epoch < epochs; epoch++) {
  for (const [i, images] of trainImages.entries()) {
    const loss = await trainJob(images, trainLabels[i]!);
    if (i % 20 === 0) console.log(loss.mean());
  }
}
await checkPoint.save(folder); // the folder must be empty or not exist
console.log("model saved");
