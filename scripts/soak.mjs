// npm run soak: 10,000 MLP steps; after step 1,000 memory must grow by less than 20 MB, a 10 ms timer must keep ticking and
// SIGINT must be seen within a step. `--steps N` makes it shorter.
import * as flow from "onestep";

const { tp } = flow;
const at = process.argv.indexOf("--steps");
const steps = at === -1 ? 10_000 : Number(process.argv[at + 1]);

const trainJob = flow.globalFunction(
  { type: "train", name: "train_job", returns: tp.Numpy },
  [tp.Numpy.Placeholder([100, 784]), tp.Numpy.Placeholder([100], { dtype: flow.int32 })],
  (images, labels) => {
    const kernelInitializer = flow.truncatedNormal(0.1);
    const hidden = flow.nn.dropout(
      flow.layers.dense(images, 512, { activation: flow.nn.relu, kernelInitializer, name: "dense1" }),
      0.1,
      { name: "dropout" },
    );
    const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(
      labels,
      flow.layers.dense(hidden, 10, { kernelInitializer, name: "dense2" }),
    );
    new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.02])).minimize(loss);
    return loss;
  },
);
await new flow.train.CheckPoint().init();

const images = Float32Array.from({ length: 78400 }, (_, i) => Math.abs(Math.sin(i)));
const labels = Int32Array.from({ length: 100 }, (_, i) => i % 10);
const rss = () => {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 2 ** 20;
};

let ticks = 0;
let longest = 0;
let last = performance.now();
const timer = setInterval(() => {
  ticks++;
  longest = Math.max(longest, performance.now() - last);
  last = performance.now();
}, 10);
const started = performance.now();
let base = 0;
let signalled = 0;
let delay = 0;
process.on("SIGINT", () => {
  delay = performance.now() - signalled;
});
for (let step = 1; step <= steps; step++) {
  await trainJob(images, labels);
  if (step === 1000) base = rss();
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
  `${steps} steps in ${seconds.toFixed(1)} s; RSS grew ${growth.toFixed(1)} MB after step 1,000; ${ticks} ticks of a 10 ms timer, longest gap ${longest.toFixed(1)} ms; SIGINT seen after ${delay.toFixed(2)} ms (a step takes ${stepMs.toFixed(2)} ms)`,
);
const complaints = [
  ...(growth < 20 ? [] : ["memory grows"]),
  ...(ticks > (seconds * 1000) / 10 / 4 ? [] : ["the timer starved"]),
  ...(delay > 0 && delay < Math.max(50, 10 * stepMs) ? [] : ["SIGINT was not seen in time"]),
];
for (const complaint of complaints) console.error(`FAIL ${complaint}`);
process.exitCode = complaints.length === 0 ? 0 : 1;
