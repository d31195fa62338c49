// `npm start`: the story of "Loading and Saving of Model" on real MNIST. Train an MLP and save it; add a layer, load the
// saved model (two warnings), fine-tune and save again; evaluate both models in a fresh process.
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { mlp } from "./support/mlp.js";
import { Progress } from "./support/progress.js";

const BATCH_SIZE = 100;
const steps = Number(process.env.ONESTEP_STORY_STEPS ?? 600);

process.on("SIGINT", () => {
  process.stderr.write("\ninterrupted\n");
  process.exit(130);
});

const home = process.cwd();
const run = join(home, "runs", new Date().toISOString().replace(/[:.]/g, "-"));
mkdirSync(run, { recursive: true });

const [[trainImages, trainLabels]] = await flow.data.loadMnist(BATCH_SIZE, BATCH_SIZE);
process.chdir(run);

/** Declares the documented train job and runs it over the training images, once. */
async function train(
  title: string,
  extended: boolean,
  prepare: (checkPoint: flow.train.CheckPoint) => Promise<unknown>,
): Promise<flow.train.CheckPoint> {
  const trainJob = flow.globalFunction(
    { type: "train", name: "train_job", returns: tp.Numpy },
    [
      tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float }),
      tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 }),
    ],
    (images, labels) => {
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, mlp(images, { extended }));
      const lrScheduler = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
      new flow.optimizer.SGD(lrScheduler, { momentum: 0 }).minimize(loss);
      return loss;
    },
  );
  const checkPoint = new flow.train.CheckPoint();
  await prepare(checkPoint);
  const progress = new Progress(title, steps, BATCH_SIZE);
  for (let i = 0; i < steps; i++) {
    const loss = await trainJob(trainImages[i % trainImages.length]!, trainLabels[i % trainLabels.length]!);
    progress.step(i + 1, loss.mean());
  }
  return checkPoint;
}

console.log("1. Train an MLP 784-512-10 on the 60,000 training images, save it to ./mlp_models_1");
const first = await train("train   ", false, (checkPoint) => checkPoint.init());
await first.save("./mlp_models_1");

console.log("2. Add the layer dense3, load ./mlp_models_1, fine-tune, save to ./mlp_ext_models_1");
await flow.clearDefaultSession();
const second = await train("finetune", true, (checkPoint) => checkPoint.load("./mlp_models_1"));
await second.save("./mlp_ext_models_1");
await flow.clearDefaultSession();

console.log("3. Evaluate both on the 10,000 test images, in a fresh process");
const child = fork(new URL("./story_evaluate.ts", import.meta.url), ["./mlp_models_1", "./mlp_ext_models_1"]);
const [code] = (await once(child, "exit")) as [number | null];
console.log(`The models are in ${relative(home, run)}`);
process.exitCode = code ?? 1;
