// A predict job whose calls are not awaited: a callback counts the hits of each batch. The documented program. Arguments:
// folder (./mlp_models_1, as async_single_job has saved it), batches (all).
import * as flow from "onestep";
import { tp } from "onestep";

const BATCH_SIZE = 100;
const folder = process.argv[2] ?? "./mlp_models_1";
const batches = Number(process.argv[3] ?? 10_000 / BATCH_SIZE);

const evalJob = flow.globalFunction(
  { type: "predict", name: "eval_job", returns: tp.Callback([tp.Numpy, tp.Numpy]) },
  [
    tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float }),
    tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 }),
  ],
  (images, labels) => {
    const kernelInitializer = flow.truncatedNormal(0.1);
    const reshape = flow.reshape(images, [images.shape[0]!, -1]);
    const hidden = flow.layers.dense(reshape, 512, { activation: flow.nn.relu, kernelInitializer, name: "hidden" });
    const logits = flow.layers.dense(hidden, 10, { kernelInitializer, name: "output" });
    return [labels, logits] as const;
  },
);

let total = 0;
let correct = 0;
function countHits([labels, logits]: readonly [flow.NdArray, flow.NdArray]): void {
  const predictions = logits.argmax(1).data;
  correct += labels.data.filter((label, row) => label === predictions[row]).length;
  total += BATCH_SIZE;
}

await new flow.train.CheckPoint().load(folder);
const [, [testImages, testLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);
for (const [i, images] of testImages.slice(0, batches).entries()) void evalJob(images, testLabels[i]!)(countHits);
await flow.syncDefaultSession();
console.log(`accuracy: ${((100 * correct) / total).toFixed(1)}%`);
