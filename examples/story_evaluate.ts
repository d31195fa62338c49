// The last chapter of story.ts, a process of its own: loads saved models and prints their test accuracy.
// `npx tsx examples/story_evaluate.ts mlp=DIR extended=DIR lenet=DIR`
import * as flow from "onestep";
import { tp } from "onestep";
import { lenet } from "./support/lenet.js";
import { mlp } from "./support/mlp.js";

const BATCH_SIZE = 100;
const [, [testImages, testLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);

const models: Readonly<Record<string, (images: flow.Blob) => flow.Blob>> = {
  mlp: (images) => mlp(images),
  extended: (images) => mlp(images, { extended: true }),
  lenet: (images) => lenet(images),
};

async function accuracy(model: string, path: string): Promise<number> {
  const evalJob = flow.globalFunction(
    { type: "predict", name: "eval_job", returns: tp.Numpy },
    [tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float })],
    models[model]!,
  );
  await new flow.train.CheckPoint().load(path);
  let right = 0;
  for (const [i, images] of testImages.entries()) {
    const predictions = (await evalJob(images)).argmax(1).data;
    right += testLabels[i]!.data.filter((label, n) => label === predictions[n]).length;
  }
  await flow.clearDefaultSession();
  return right / (testImages.length * BATCH_SIZE);
}

for (const [model, path] of process.argv.slice(2).map((argument) => argument.split("=") as [string, string])) {
  console.log(`${path}: test accuracy ${(100 * (await accuracy(model, path))).toFixed(2)} %`);
}
