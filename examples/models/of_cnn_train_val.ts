// Trains one of the CNNs on one batch of made-up images, as the original does where it has no data. Arguments: alexnet | vgg |
// resnet50 | inceptionv3 | mobilenetv2 (resnet50), batch (8), height and width of the images (the model's), steps (20).
import * as flow from "onestep";
import { type CnnName, cnns, trainNet } from "./cnns.js";
import { syntheticImages } from "./synthetic.js";

const model = (process.argv[2] ?? "resnet50") as CnnName;
if (!(model in cnns)) throw new Error(`model '${model}' is unknown, expected ${Object.keys(cnns).join(", ")}`);
const batch = Number(process.argv[3] ?? 8);
const size = Number(process.argv[4] ?? cnns[model].size);
const steps = Number(process.argv[5] ?? 20);

const job = trainNet(model, { batch, size });
const { images, labels } = syntheticImages(batch, size, 1000);
await new flow.train.CheckPoint().init();
for (let step = 0; step < steps; step++) {
  const started = performance.now();
  const { loss } = await job(images, labels);
  console.log(`step ${step} loss ${loss.item().toFixed(4)} ${Math.round(performance.now() - started)} ms`);
}
