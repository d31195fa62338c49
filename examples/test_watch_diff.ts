// Shows the gradient of a blob at each step: the documented program. Argument: steps (600). Each row of the gradient of the
// logits sums to 0, and its entry at the label is p - 1: it is not divided by the batch size.
import * as flow from "onestep";
import { tp } from "onestep";

const BATCH_SIZE = 100;
const steps = Number(process.argv[2] ?? 60_000 / BATCH_SIZE);

function watchDiffHandler(blob: flow.NdArray): void {
  const rows = (blob.toArray() as number[][]).map((row) => `[${row.map((value) => value.toExponential(7)).join(" ")}]`);
  console.log(`watch_diff_handler: [${rows.join("\n ")}]`, blob.shape, blob.dtype);
}

const trainJob = flow.globalFunction(
  { type: "train", name: "train_job", returns: tp.Numpy },
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
    flow.watchDiff(logits, watchDiffHandler);
    return loss;
  },
);

const checkPoint = new flow.train.CheckPoint();
await checkPoint.init();
const [[trainImages, trainLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);
for (const [i, images] of trainImages.slice(0, steps).entries()) await trainJob(images, trainLabels[i]!);
