// The seed program, first half: train an MLP on MNIST for one epoch and save it to ./mlp_models_1.
import * as flow from "onestep";
import { tp } from "onestep";

const BATCH_SIZE = 100;

const trainJob = flow.globalFunction(
  { type: "train", name: "train_job", returns: tp.Numpy },
  [
    tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float }),
    tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 }),
  ],
  (images, labels) => {
    const loss = flow.scope.placement("cpu", "0:0", () => {
      const kernelInitializer = flow.truncatedNormal(0.1);
      const reshape = flow.reshape(images, [images.shape[0]!, -1]);
      const hidden = flow.layers.dense(reshape, 512, { activation: flow.nn.relu, kernelInitializer, name: "dense1" });
      const dense2 = flow.layers.dense(hidden, 10, { kernelInitializer, name: "dense2" });
      return flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, dense2);
    });
    const lrScheduler = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
    new flow.optimizer.SGD(lrScheduler, { momentum: 0 }).minimize(loss);
    return loss;
  },
);

const checkPoint = new flow.train.CheckPoint();
await checkPoint.init();

const [[trainImages, trainLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);
for (const [i, images] of trainImages.entries()) {
  const loss = await trainJob(images, trainLabels[i]!);
  if (i % 20 === 0) console.log(loss.mean());
}
await checkPoint.save("./mlp_models_1");
console.log("model saved");
