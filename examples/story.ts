// `npm start`: the story of "Loading and Saving of Model" on real MNIST. Train an MLP and save it; add a layer, load the
// saved model (two warnings), fine-tune and save again; train LeNet, with convolutions and dropout; evaluate all three in a
// fresh process. `npm start -- --quick` leaves LeNet, which takes about a minute, out.
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { lenet } from "./support/lenet.js";
import { mlp } from "./support/mlp.js";
import { Progress } from "./support/progress.js";

const BATCH_SIZE = 100;
const quick = process.argv.includes("--quick");
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
  model: (images: flow.Blob) => flow.Blob,
  prepare: (checkPoint: flow.train.CheckPoint) => Promise<unknown>,
): Promise<flow.train.CheckPoint> {
  const trainJob = flow.globalFunction(
    { type: "train", name: "train_job", returns: tp.Numpy },
    [
      tp.Numpy.Placeholder([BATCH_SIZE, 1, 28, 28], { dtype: flow.float }),
      tp.Numpy.Placeholder([BATCH_SIZE], { dtype: flow.int32 }),
    ],
    (images, labels) => {
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, model(images));
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
const first = await train(
  "train   ",
  (images) => mlp(images),
  (checkPoint) => checkPoint.init(),
);
await first.save("./mlp_models_1");

console.log("2. Add the layer dense3, load ./mlp_models_1, fine-tune, save to ./mlp_ext_models_1");
await flow.clearDefaultSession();
const second = await train(
  "finetune",
  (images) => mlp(images, { extended: true }),
  (checkPoint) => checkPoint.load("./mlp_models_1"),
);
await second.save("./mlp_ext_models_1");
await flow.clearDefaultSession();

if (!quick) {
  console.log("3. Train LeNet (two convolutions, dropout), save it to ./lenet_models_1");
  const third = await train(
    "lenet   ",
    (images) => lenet(images, { train: true }),
    (checkPoint) => checkPoint.init(),
  );
  await third.save("./lenet_models_1");
  await flow.clearDefaultSession();
}

console.log(`${quick ? 3 : 4}. Evaluate ${quick ? "both" : "all three"} on the 10,000 test images, in a fresh process`);
const models = ["mlp=./mlp_models_1", "extended=./mlp_ext_models_1", ...(quick ? [] : ["lenet=./lenet_models_1"])];
const child = fork(new URL("./story_evaluate.ts", import.meta.url), models);
const [code] = (await once(child, "exit")) as [number | null];
console.log(`The models are in ${relative(home, run)}`);
process.exitCode = code ?? 1;
