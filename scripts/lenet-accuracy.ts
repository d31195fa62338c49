// npm run accuracy: the documented LeNet program over its twenty epochs, with the test accuracy after each.
// Argument: epochs (20). The log of the last full run is docs/lenet-accuracy.log.
import * as flow from "onestep";
import { tp } from "onestep";
import { lenet } from "../examples/support/lenet.js";

const BATCH_SIZE = 100;
const images = tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28]);
const labels = tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 });
flow.config.seed(1);

const trainJob = flow.globalFunction(
  { type: "train", name: "train_job", returns: tp.Numpy },
  [images, labels],
  (x, y) => {
    const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(y, lenet(x, { train: true }), { name: "softmax_loss" });
    new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1]), { momentum: 0 }).minimize(loss);
    return loss;
  },
);
const evalJob = flow.globalFunction({ type: "predict", name: "eval_job", returns: tp.Numpy }, [images], (x) =>
  lenet(x),
);

await new flow.train.CheckPoint().init();
const [[trainImages, trainLabels], [testImages, testLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);
for (let epoch = 1; epoch <= Number(process.argv[2] ?? 20); epoch++) {
  const start = performance.now();
  let loss = 0;
  for (const [i, batch] of trainImages.entries()) loss += (await trainJob(batch, trainLabels[i]!)).mean();
  const seconds = (performance.now() - start) / 1000;
  let right = 0;
  for (const [i, batch] of testImages.entries()) {
    const predictions = (await evalJob(batch)).argmax(1).data;
    right += testLabels[i]!.data.filter((label, n) => label === predictions[n]).length;
  }
  console.log(
    `epoch ${String(epoch).padStart(2)}  mean loss ${(loss / trainImages.length).toFixed(4)}  test accuracy ${((100 * right) / (testImages.length * BATCH_SIZE)).toFixed(2)} %  ${seconds.toFixed(0)} s`,
  );
}
