// A train job whose calls are not awaited: each hands its loss to a callback. The documented program. Argument: epochs (20).
// None of the calls begins before the program awaits something, and each waits with a copy of its batch: the program awaits
// them once per epoch.
import * as flow from "onestep";
import { tp } from "onestep";

const BATCH_SIZE = 100;
const epochs = Number(process.argv[2] ?? 20);

const trainJob = flow.globalFunction(
  { type: "train", name: "train_job", returns: tp.Callback(tp.Numpy) },
  [
    tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float }),
    tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 }),
  ],
  (images, labels) => {
    const kernelInitializer = flow.truncatedNormal(0.1);
    const reshape = flow.reshape(images, [images.shape[0]!, -1]);
    const hidden = flow.layers.dense(reshape, 512, { activation: flow.nn.relu, kernelInitializer, name: "hidden" });
    const logits = flow.layers.dense(hidden, 10, { kernelInitializer, name: "output" });
    const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits);
    const lrScheduler = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
    new flow.optimizer.SGD(lrScheduler, { momentum: 0 }).minimize(loss);
    return loss;
  },
);

let i = 0;
function printLoss(loss: flow.NdArray): void {
  if (i++ % 20 === 0) console.log(loss.mean());
}

const checkPoint = new flow.train.CheckPoint();
await checkPoint.init();
const [[trainImages, trainLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);
for (let epoch = 0; epoch < epochs; epoch++) {
  for (const [n, images] of trainImages.entries()) void trainJob(images, trainLabels[n]!)(printLoss);
  await flow.syncDefaultSession();
}
await checkPoint.save("./mlp_models_1"); // the folder must be empty or not exist
console.log("model saved");
