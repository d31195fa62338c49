// Data parallelism in the first layer, model parallelism in the second: the documented program. `split(0)` would spread the
// rows of dense2's weight over the devices; with one device it changes no number. Arguments: epochs (3), steps per epoch (600).
import * as flow from "onestep";
import { tp } from "onestep";

const BATCH_SIZE = 100;
const epochs = Number(process.argv[2] ?? 3);
const steps = Number(process.argv[3] ?? 60_000 / BATCH_SIZE);

flow.config.gpuDeviceNum(1);

function mlp(data: flow.Blob): flow.Blob {
  const kernelInitializer = flow.truncatedNormal(0.1);
  const reshape = flow.reshape(data, [data.shape[0]!, -1]);
  const hidden = flow.layers.dense(reshape, 512, { activation: flow.nn.relu, kernelInitializer, name: "dense1" });
  return flow.layers.dense(hidden, 10, {
    kernelInitializer,
    name: "dense2",
    modelDistribute: flow.distribute.split(0), // model parallelism
  });
}

const functionConfig = flow.functionConfig();
functionConfig.defaultDataType(flow.float);

const trainJob = flow.globalFunction(
  { type: "train", name: "train_job", functionConfig, returns: tp.Numpy },
  [
    tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float }),
    tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 }),
  ],
  (images, labels) => {
    const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, mlp(images));
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
