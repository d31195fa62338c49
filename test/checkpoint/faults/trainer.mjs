// A program that trains a tiny model and saves after every step into ROOT/m-<step>, until it is killed; started again it goes on from
// the newest finished checkpoint. Before each save it notes the step and the SHA-256 of its weights, after it that the save is done.
import { createHash } from "node:crypto";
import { appendFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { verifyCheckpoint } from "../../../dist/checkpoint/verify.js";
import * as flow from "../../../dist/index.js";

const [root, log, background] = process.argv.slice(2);
const { tp } = flow;
flow.config.engine("reference");
flow.config.seed(11);
const names = ["dense1-bias", "dense1-weight", "dense2-bias", "dense2-weight"];
const trainJob = flow.globalFunction(
  { type: "train", name: "train_job", returns: tp.Numpy },
  [tp.Numpy.Placeholder([4, 4]), tp.Numpy.Placeholder([4], { dtype: flow.int32 })],
  (x, labels) => {
    const kernelInitializer = flow.truncatedNormal(0.5);
    const hidden = flow.nn.dropout(
      flow.layers.dense(x, 8, { activation: flow.nn.relu, kernelInitializer, name: "dense1" }),
      0.3,
      { name: "dropout" },
    );
    const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(
      labels,
      flow.layers.dense(hidden, 2, { kernelInitializer, name: "dense2" }),
    );
    new flow.optimizer.Adam(new flow.optimizer.PiecewiseConstantScheduler([], [0.01])).minimize(loss);
    return loss;
  },
);
const shapes = [[8], [8, 4], [2], [2, 8]];
const weights = flow.globalFunction({ type: "predict", name: "weights", returns: tp.Numpy }, [], () =>
  flow.concat(
    names.map((name, i) =>
      flow.reshape(
        flow.getVariable(name, {
          shape: shapes[i],
          initializer: name.endsWith("weight") ? flow.truncatedNormal(0.5) : flow.zerosInitializer(),
        }),
        [-1],
      ),
    ),
    { axis: 0 },
  ),
);

const checkPoint = new flow.train.CheckPoint();
const steps = readdirSync(root)
  .flatMap((name) => /^m-(\d+)$/.exec(name)?.[1] ?? [])
  .map(Number)
  .sort((a, b) => b - a);
let step = 0;
for (const candidate of steps) {
  const dir = join(root, `m-${candidate}`);
  const report = await verifyCheckpoint(dir).catch((error) => error);
  if (report.finished !== true) throw new Error(`${dir} is not finished: ${report.message ?? report.problems}`);
  const { extras } = await checkPoint.load(dir, { strict: true });
  step = extras.step;
  break;
}
if (step === 0) await checkPoint.init();
process.stdout.write("training\n");
for (;;) {
  step++;
  const x = Float32Array.from({ length: 16 }, (_, i) => Math.sin(i + step));
  await trainJob(x, Int32Array.from([0, 1, 1, 0]));
  const { data } = await weights();
  const sha256 = createHash("sha256").update(new Uint8Array(data.buffer)).digest("hex");
  appendFileSync(log, `step ${step} ${sha256}\n`);
  const saved = step;
  process.stdout.write(`saving ${step}\n`);
  const saving = checkPoint.save(join(root, `m-${step}`), {
    extras: { step },
    background: background === "background",
  });
  const done = saving.then(() => {
    appendFileSync(log, `done ${saved}\n`);
    process.stdout.write(`saved ${saved}\n`);
    const old = join(root, `m-${saved - 2}`);
    // Renamed first: a removal that is killed half-way must not look like a checkpoint.
    rmSync(join(root, "old"), { recursive: true, force: true });
    try {
      renameSync(old, join(root, "old"));
    } catch {}
  });
  if (background !== "background") await done;
}
