// npm run soak: 10,000 MLP steps, then 200 rounds of saving and loading; after step 2,000, and after 20 of the rounds, memory
// must grow by less than 20 MB, meanwhile a 10 ms timer must keep ticking and SIGINT must be seen within a step. Then 200 steps (a
// fiftieth of the others) of a model of 100 MB with momentum, whose variables the onnx engine updates in place: after the first 30
// memory must grow by less than 20 MB. `--steps N` and `--rounds N` make it shorter, `--engine NAME[,NAME]` chooses engines (default onnx).
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as flow from "onestep";

const { tp } = flow;
const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "10000" },
    rounds: { type: "string", default: "200" },
    engine: { type: "string", default: "onnx" },
  },
});
const steps = Number(values.steps);
const rounds = Number(values.rounds);
const largeSteps = Math.ceil(steps / 50);
const most = 20;
// JavaScript's heap takes its size in the first seconds: up to 30 MB more than after 1,000 steps.
const warmSteps = 2000;
const warm = Math.min(20, rounds);

const images = Float32Array.from({ length: 78400 }, (_, i) => Math.abs(Math.sin(i)));
const labels = Int32Array.from({ length: 100 }, (_, i) => i % 10);
const rss = () => {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 2 ** 20;
};
let signalled = 0;
let delay = 0;
process.on("SIGINT", () => {
  delay = performance.now() - signalled;
});

for (const engine of values.engine.split(",")) {
  console.log(`engine ${engine}, Node ${process.version}`);
  flow.config.engine(engine);
  const trainJob = flow.globalFunction(
    { type: "train", name: "train_job", returns: tp.Numpy },
    [tp.Numpy.Placeholder([100, 784]), tp.Numpy.Placeholder([100], { dtype: flow.int32 })],
    (x, y) => {
      const kernelInitializer = flow.truncatedNormal(0.1);
      const activation = flow.nn.relu;
      const hidden = flow.layers.dense(x, 512, { activation, kernelInitializer, name: "dense1" });
      const kept = flow.nn.dropout(hidden, 0.1, { name: "dropout" });
      const logits = flow.layers.dense(kept, 10, { kernelInitializer, name: "dense2" });
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(y, logits);
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.02])).minimize(loss);
      return loss;
    },
  );
  const checkPoint = new flow.train.CheckPoint();
  await checkPoint.init();
  const complaints = [...(await train(trainJob)), ...(await saveAndLoad(trainJob, checkPoint))];
  for (const complaint of complaints) console.error(`FAIL ${engine}: ${complaint}`);
  if (complaints.length > 0) process.exitCode = 1;
  await flow.clearDefaultSession();
  for (const complaint of await trainLarge(engine)) {
    console.error(`FAIL ${engine}: ${complaint}`);
    process.exitCode = 1;
  }
}

async function train(trainJob) {
  let ticks = 0;
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    ticks++;
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 10);
  delay = 0;
  let base = 0;
  const started = performance.now();
  for (let step = 1; step <= steps; step++) {
    await trainJob(images, labels);
    if (step === warmSteps) base = rss();
    if (step === 1500) {
      signalled = performance.now();
      process.kill(process.pid, "SIGINT");
    }
    if (step % 1000 === 0) console.log(`step ${step}: RSS ${rss().toFixed(1)} MB`);
  }
  clearInterval(timer);
  const seconds = (performance.now() - started) / 1000;
  const growth = rss() - base;
  const stepMs = (1000 * seconds) / steps;
  console.log(
    `${steps} steps in ${seconds.toFixed(1)} s; RSS grew ${growth.toFixed(1)} MB after step ${warmSteps}; ${ticks} ticks of a 10 ms timer, longest gap ${longest.toFixed(1)} ms; SIGINT seen after ${delay.toFixed(2)} ms (a step takes ${stepMs.toFixed(2)} ms)`,
  );
  return [
    ...(growth < most ? [] : ["memory grows with steps"]),
    ...(ticks > (seconds * 1000) / 10 / 4 ? [] : ["the timer starved"]),
    ...(delay > 0 && delay < Math.max(50, 10 * stepMs) ? [] : ["SIGINT was not seen in time"]),
  ];
}

/** Rounds of a save, a step that changes every value, and the load that takes it back. */
async function saveAndLoad(trainJob, checkPoint) {
  const folder = mkdtempSync(join(tmpdir(), "onestep-soak-"));
  try {
    let base = 0;
    const started = performance.now();
    const losses = new Set();
    for (let round = 1; round <= rounds; round++) {
      const path = join(folder, "model");
      await checkPoint.save(path);
      losses.add((await trainJob(images, labels)).mean());
      await checkPoint.load(path);
      rmSync(path, { recursive: true });
      if (round === warm) base = rss();
      if (round % 50 === 0) console.log(`round ${round}: RSS ${rss().toFixed(1)} MB`);
    }
    const seconds = (performance.now() - started) / 1000;
    const growth = rss() - base;
    console.log(
      `${rounds} rounds of save, step and load in ${seconds.toFixed(1)} s; RSS grew ${growth.toFixed(1)} MB after the first ${warm}`,
    );
    return [
      ...(growth < most ? [] : ["memory grows with saves and loads"]),
      ...(losses.size === 1 ? [] : [`a step from the same checkpoint gave ${losses.size} losses`]),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Steps of a model of 100 MB, which is 200 MB with its momenta. */
async function trainLarge(engine) {
  flow.config.engine(engine);
  const job = flow.globalFunction(
    { type: "train", name: "large", returns: tp.Numpy },
    [tp.Numpy.Placeholder([8, 2048]), tp.Numpy.Placeholder([8], { dtype: flow.int32 })],
    (x, y) => {
      const kernelInitializer = flow.truncatedNormal(0.02);
      let hidden = x;
      for (let layer = 0; layer < 6; layer++)
        hidden = flow.layers.dense(hidden, 2048, {
          activation: flow.nn.relu,
          kernelInitializer,
          name: `dense${layer}`,
        });
      const logits = flow.layers.dense(hidden, 10, { kernelInitializer, name: "logits" });
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(y, logits);
      const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.001]);
      new flow.optimizer.SGD(rate, { momentum: 0.9 }).minimize(loss);
      return loss;
    },
  );
  await new flow.train.CheckPoint().init();
  let base = 0;
  let highest = 0;
  const first = Math.min(30, largeSteps - 1);
  const started = performance.now();
  for (let step = 1; step <= largeSteps; step++) {
    await job(images.subarray(0, 8 * 2048), labels.subarray(0, 8));
    if (step === first) base = rss();
    if (step > first && step % 10 === 0) highest = Math.max(highest, rss());
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(
    `${largeSteps} steps of a model of 100 MB in ${seconds.toFixed(1)} s; RSS ${base.toFixed(0)} MB after ${first}, ${highest.toFixed(0)} at most after`,
  );
  await flow.clearDefaultSession();
  return highest - base < most ? [] : ["memory grows with the steps of a large model"];
}
