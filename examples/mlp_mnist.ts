// The quick start: an MLP on MNIST with Adam. `npx tsx examples/mlp_mnist.ts [epochs]`, 20 epochs by default.
import * as flow from "onestep";
import { tp } from "onestep";

const BATCH_SIZE = 100;
const EPOCHS = Number(process.argv[2] ?? 20);

const trainJob = flow.globalFunction(
  { type: "train", name: "train_job", returns: tp.Numpy },
  [
    tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float }),
    tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 }),
  ],
  (images, labels) => {
    const loss = flow.scope.placement("cpu", "0:0", () => {
      const initializer1 = flow.randomUniformInitializer(-1 / 28, 1 / 28);
      const hidden = flow.layers.dense(flow.reshape(images, [images.shape[0]!, -1]), 500, {
        activation: flow.nn.relu,
        kernelInitializer: initializer1,
        biasInitializer: initializer1,
        name: "dense1",
      });
      const initializer2 = flow.randomUniformInitializer(-Math.sqrt(1 / 500), Math.sqrt(1 / 500));
      const logits = flow.layers.dense(hidden, 10, {
        kernelInitializer: initializer2,
        biasInitializer: initializer2,
        name: "dense2",
      });
      return flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits);
    });
    const lrScheduler = new flow.optimizer.PiecewiseConstantScheduler([], [0.001]);
    new flow.optimizer.Adam(lrScheduler).minimize(loss);
    return loss;
  },
);

const checkPoint = new flow.train.CheckPoint();
await checkPoint.init();

const [[trainImages, trainLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  for (const [i, images] of trainImages.entries()) {
    const loss = await trainJob(images, trainLabels[i]!);
    if (i % 20 === 0) console.log(`Epoch [${epoch + 1}/${EPOCHS}], Loss: ${loss.mean().toFixed(4)}`);
  }
}
