// LeNet whose last layers are on different devices, a pipeline: the documented program. "gpu" runs on the CPU here and says so
// once; the numbers are those of one device. Arguments: epochs (50), steps per epoch (600).
import * as flow from "onestep";
import { tp } from "onestep";

const BATCH_SIZE = 100;
const epochs = Number(process.argv[2] ?? 50);
const steps = Number(process.argv[3] ?? 60_000 / BATCH_SIZE);

flow.config.gpuDeviceNum(2); // taken without effect: the engines here run on the CPU

function lenet(data: flow.Blob, { train = false } = {}): flow.Blob {
  const kernelInitializer = flow.truncatedNormal(0.1);
  const common = { padding: "SAME", activation: flow.nn.relu, kernelInitializer } as const;
  const conv1 = flow.layers.conv2d(data, 32, 5, { ...common, name: "conv1" });
  const pool1 = flow.nn.maxPool2d(conv1, 2, 2, "SAME", { name: "pool1", dataFormat: "NCHW" });
  const conv2 = flow.layers.conv2d(pool1, 64, 5, { ...common, name: "conv2" });
  const pool2 = flow.nn.maxPool2d(conv2, 2, 2, "SAME", { name: "pool2", dataFormat: "NCHW" });
  const reshape = flow.reshape(pool2, [pool2.shape[0]!, -1]);
  const dense1 = flow.scope.placement("gpu", "0:0", () =>
    flow.layers.dense(reshape, 512, { activation: flow.nn.relu, kernelInitializer, name: "hidden" }),
  );
  const hidden = train ? flow.nn.dropout(dense1, 0.5, { name: "dropout" }) : dense1;
  return flow.scope.placement("gpu", "0:1", () =>
    flow.layers.dense(hidden, 10, { kernelInitializer, name: "outlayer" }),
  );
}

const trainJob = flow.globalFunction(
  { type: "train", name: "train_job", returns: tp.Numpy },
  [
    tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float }),
    tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 }),
  ],
  (images, labels) => {
    const logits = lenet(images, { train: true });
    const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits, { name: "softmax_loss" });
    const lrScheduler = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
    new flow.optimizer.SGD(lrScheduler, { momentum: 0 }).minimize(loss);
    return loss;
  },
);

const checkPoint = new flow.train.CheckPoint();
await checkPoint.init();
const [[trainImages, trainLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);
for (let epoch = 0; epoch < epochs; epoch++) {
  for (const [i, images] of trainImages.slice(0, steps).entries()) {
    const loss = await trainJob(images, trainLabels[i]!);
    if (i % 20 === 0) console.log(loss.mean());
  }
}
