// The last chapter of story.ts, a process of its own: loads saved models and prints their test accuracy.
// `npx tsx examples/story_evaluate.ts DIR EXTENDED_DIR`
import * as flow from "onestep";
import { tp } from "onestep";
import { mlp } from "./support/mlp.js";

const BATCH_SIZE = 100;
const [, [testImages, testLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);

async function accuracy(path: string, extended: boolean): Promise<number> {
  const evalJob = flow.globalFunction(
    { type: "predict", name: "eval_job", returns: tp.Numpy },
    [tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float })],
    (images) => mlp(images, { extended }),
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

for (const [path, extended] of [
  [process.argv[2]!, false],
  [process.argv[3]!, true],
] as const) {
  console.log(`${path}: test accuracy ${(100 * (await accuracy(path, extended))).toFixed(2)} %`);
}
