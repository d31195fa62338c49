// Data parallelism in the mirrored view: the documented program. Each device gets its own part of the batch and gives its own
// loss, so feeds and results are lists with one array per device; with one device, lists of one. Arguments: steps per epoch
// (600), epochs (1).
import * as flow from "onestep";
import { tp } from "onestep";

const DEVICES = 1;
const BATCH_SIZE = 100;
const steps = Number(process.argv[2] ?? 60_000 / BATCH_SIZE);
const epochs = Number(process.argv[3] ?? 1);

flow.config.gpuDeviceNum(DEVICES);
const functionConfig = flow.functionConfig();
functionConfig.defaultDataType(flow.float);
functionConfig.defaultLogicalView(flow.scope.mirroredView());

const trainJob = flow.globalFunction(
  { type: "train", name: "train_job", functionConfig, returns: tp.ListNumpy },
  [
    tp.ListNumpy.Placeholder([BATCH_SIZE / DEVICES, 1, 28, 28], { dtype: flow.float }),
    tp.ListNumpy.Placeholder([BATCH_SIZE / DEVICES], { dtype: flow.int32 }),
  ],
  (images, labels) => {
    const kernelInitializer = flow.truncatedNormal(0.1);
    const reshape = flow.reshape(images, [images.shape[0]!, -1]);
    const hidden = flow.layers.dense(reshape, 512, { activation: flow.nn.relu, kernelInitializer, name: "dense1" });
    const logits = flow.layers.dense(hidden, 10, { kernelInitializer, name: "dense2" });
    const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits);
    const lrScheduler = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
    new flow.optimizer.SGD(lrScheduler, { momentum: 0 }).minimize(loss);
    return loss;
  },
);

/** One part of a batch for each device. */
const parts = <D extends flow.DType>(batch: flow.NdArray<D>): readonly flow.NdArray<D>[] =>
  Array.from({ length: DEVICES }, (_, device) =>
    batch.slice((device * BATCH_SIZE) / DEVICES, ((device + 1) * BATCH_SIZE) / DEVICES),
  );

const checkPoint = new flow.train.CheckPoint();
await checkPoint.init();
const [[trainImages, trainLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);
for (let epoch = 0; epoch < epochs; epoch++) {
  for (const [i, images] of trainImages.slice(0, steps).entries()) {
    const losses = await trainJob(parts(images), parts(trainLabels[i]!));
    if (i % 20 === 0) console.log(losses.reduce((sum, loss) => sum + loss.mean(), 0) / DEVICES);
  }
}
