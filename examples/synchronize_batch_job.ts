// A predict job that returns two arrays and is awaited at every batch: the documented program. Argument: folder
// (./lenet_models_1), as lenet_train or synchronize_single_job has saved it.
import * as flow from "onestep";
import { tp } from "onestep";
import { lenet } from "./support/lenet.js";

const BATCH_SIZE = 100;

const evalJob = flow.globalFunction(
  { type: "predict", name: "eval_job", returns: [tp.Numpy, tp.Numpy] },
  [
    tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float }),
    tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 }),
  ],
  (images, labels) => [labels, lenet(images)] as const,
);

await new flow.train.CheckPoint().load(process.argv[2] ?? "./lenet_models_1");
const [, [testImages, testLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);
let total = 0;
let correct = 0;
for (const [i, images] of testImages.entries()) {
  const [labels, logits] = await evalJob(images, testLabels[i]!);
  const predictions = logits.argmax(1).data;
  correct += labels.data.filter((label, row) => label === predictions[row]).length;
  total += BATCH_SIZE;
}
console.log(`accuracy: ${((100 * correct) / total).toFixed(1)}%`);
