// node bench/programs/epoch.mjs prepare|train DIR: first values of the documented MLP into DIR; an epoch of MNIST from there.
import * as flow from "onestep";
import { tp } from "onestep";

const [mode, folder] = process.argv.slice(2);
const job = flow.globalFunction(
  { type: "train", name: "train_job", returns: tp.Numpy },
  [tp.Numpy.Placeholder([100, 1, 28, 28]), tp.Numpy.Placeholder([100], { dtype: flow.int32 })],
  (images, labels) => {
    const kernelInitializer = flow.truncatedNormal(0.1);
    const flat = flow.reshape(images, [100, -1]);
    const hidden = flow.layers.dense(flat, 512, { activation: flow.nn.relu, kernelInitializer, name: "dense1" });
    const logits = flow.layers.dense(hidden, 10, { kernelInitializer, name: "dense2" });
    const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits);
    const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
    new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(loss);
    return loss;
  },
);
const checkPoint = new flow.train.CheckPoint();
if (mode === "prepare") {
  flow.config.seed(1);
  await checkPoint.init();
  await checkPoint.save(folder);
} else {
  const [[images, labels]] = await flow.data.loadMnist(100, 100);
  await checkPoint.load(folder);
  const losses = [];
  for (const [i, batch] of images.entries()) losses.push((await job(batch, labels[i])).mean());
  console.log(JSON.stringify([losses[0], losses.slice(-20).reduce((sum, loss) => sum + loss, 0) / 20]));
}
