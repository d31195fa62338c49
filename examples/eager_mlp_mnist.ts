// Eager mode, where a job may be declared at the place of its call: the documented program. Argument: steps (600).
import * as flow from "onestep";
import { tp } from "onestep";

const BATCH_SIZE = 100;
const steps = Number(process.argv[2] ?? 60_000 / BATCH_SIZE);

flow.enableEagerExecution(true); // before anything else

/** One step: declares the job and calls it. Variables get their first values by themselves. */
async function train(images: flow.NdArray<"float32">, labels: flow.NdArray<"int32">): Promise<flow.NdArray> {
  const trainJob = flow.globalFunction(
    { type: "train", name: "train_job", returns: tp.Numpy },
    [
      tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float }),
      tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 }),
    ],
    (x, y) => {
      const kernelInitializer = flow.truncatedNormal(0.1);
      const reshape = flow.reshape(x, [x.shape[0]!, -1]);
      const hidden = flow.layers.dense(reshape, 512, { activation: flow.nn.relu, kernelInitializer, name: "dense1" });
      const logits = flow.layers.dense(hidden, 10, { kernelInitializer, name: "dense2" });
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(y, logits);
      const lrScheduler = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
      new flow.optimizer.SGD(lrScheduler, { momentum: 0 }).minimize(loss);
      return loss;
    },
  );
  return await trainJob(images, labels);
}

const [[trainImages, trainLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);
for (const [i, images] of trainImages.slice(0, steps).entries()) {
  const loss = await train(images, trainLabels[i]!);
  if (i % 20 === 0) console.log(loss.mean());
}
