// A train job that is awaited at every step, of LeNet: the documented program. Argument: epochs (1).
import * as flow from "onestep";
import { tp } from "onestep";
import { lenet } from "./support/lenet.js";

const BATCH_SIZE = 100;
const epochs = Number(process.argv[2] ?? 1);

const trainJob = flow.globalFunction(
  { type: "train", name: "train_job", returns: tp.Numpy },
  [
    tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float }),
    tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 }),
  ],
  (images, labels) => {
    const logits = lenet(images, { train: true });
    const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits);
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
await checkPoint.save("./lenet_models_1"); // the folder must be empty or not exist
console.log("model saved");
