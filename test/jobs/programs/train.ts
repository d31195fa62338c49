// A training run for the tests of resuming and interrupting: argument 1 is a Plan as JSON. One line per step: its number, the bits
// of its losses, the labels it saw.
import { setTimeout as wait } from "node:timers/promises";
import * as flow from "onestep";
import { tp } from "onestep";

export interface Plan {
  readonly engine: string;
  readonly optimizer: "sgd" | "momentum" | "adam";
  readonly source: "arrays" | "indexed" | "stream";
  /** Null: drawn, and stored in the checkpoint. */
  readonly seed: number | null;
  /** Folder of the manager; without one the run is initialised and never saved on the way. */
  readonly root?: string;
  readonly saveEvery?: number;
  /** Steps in all, those before a resume included. */
  readonly steps: number;
  /** Where the last state goes. */
  readonly final: string;
  /** Saves on SIGINT and SIGTERM. */
  readonly interrupt?: boolean;
  /** Does something slow between getting a batch and training on it. */
  readonly slow?: boolean;
  /** Loops with `for`, not `for await`. */
  readonly sync?: boolean;
}

const plan = JSON.parse(process.argv[2]!) as Plan;
flow.config.engine(plan.engine);
if (plan.seed !== null) flow.config.seed(plan.seed);

const ROWS = 37;
const BATCH = 5;
const row = (i: number): Float32Array => Float32Array.from({ length: 6 }, (_, j) => Math.sin(7 * i + 3 * j));
const label = (i: number): number => (i * i) % 3;
const options = { batchSize: BATCH, shuffle: true, lastBatch: "drop", epochs: Number.POSITIVE_INFINITY } as const;
const arrays = [
  new flow.NdArray<"float32">(Float32Array.from(Array.from({ length: ROWS }, (_, i) => [...row(i)]).flat()), [ROWS, 6]),
  Int32Array.from({ length: ROWS }, (_, i) => label(i)),
] as const;

function makeSource() {
  if (plan.source === "arrays") return flow.data.batches(arrays, options);
  if (plan.source === "indexed")
    return flow.data.batches(
      {
        length: ROWS,
        // Augmented at random, and not ready at once.
        get: async (i, { random }) => {
          await wait(i % 3);
          return [row(i).map((x) => x + 0.1 * random()), Int32Array.of(label(i))] as const;
        },
      },
      { ...options, prefetch: 3 },
    );
  return flow.data.batches(
    async function* ({ epoch }) {
      for (let i = 0; i < ROWS; i++) yield [row(i + epoch), Int32Array.of(label(i + epoch))] as const;
    },
    { ...options, shuffleBuffer: 9 },
  );
}

const trainJob = flow.globalFunction(
  { type: "train", name: "train_job", returns: tp.Numpy },
  [tp.Numpy.Placeholder([BATCH, 6]), tp.Numpy.Placeholder([BATCH], { dtype: flow.int32 })],
  (x, labels) => {
    const kernelInitializer = flow.truncatedNormal(0.5);
    const hidden = flow.layers.dense(x, 16, { activation: flow.nn.relu, kernelInitializer, name: "dense1" });
    const logits = flow.layers.dense(flow.nn.dropout(hidden, 0.4, { name: "drop" }), 3, {
      kernelInitializer,
      name: "dense2",
    });
    const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits);
    const rate = new flow.optimizer.PiecewiseConstantScheduler([9], [0.05, 0.02]);
    const optimizer =
      plan.optimizer === "adam"
        ? new flow.optimizer.Adam(rate, { doBiasCorrection: true })
        : new flow.optimizer.SGD(rate, { momentum: plan.optimizer === "momentum" ? 0.9 : 0 });
    optimizer.minimize(loss);
    return loss;
  },
);

const source = makeSource();
const checkPoint = new flow.train.CheckPoint();
const manager =
  plan.root === undefined ? undefined : new flow.train.SimpleCheckPointManager(plan.root, { keepLast: 2 });
if (manager === undefined) await checkPoint.init();
else await manager.initializeOrRestore();
if (plan.interrupt) flow.train.onInterrupt(() => manager!.save());

const perEpoch = Math.floor(ROWS / BATCH);
const done = (): number => source.epoch * perEpoch + source.offset;

async function step(images: flow.NdArray<"float32">, labels: flow.NdArray<"int32">): Promise<void> {
  if (plan.slow) await wait(8);
  const loss = await trainJob(images, labels.reshape([BATCH]));
  const bits = Buffer.from((loss.data as Float32Array).slice().buffer).toString("hex");
  process.stdout.write(`${done()} ${bits} ${labels.data.join()}\n`);
  if (plan.saveEvery !== undefined && done() % plan.saveEvery === 0) await manager!.save();
}

if (done() < plan.steps) {
  if (plan.sync) {
    for (const [images, labels] of source as unknown as Iterable<[flow.NdArray<"float32">, flow.NdArray<"int32">]>) {
      await step(images, labels);
      if (done() === plan.steps) break;
    }
  } else {
    for await (const [images, labels] of source) {
      await step(images, labels);
      if (done() === plan.steps) break;
    }
  }
}
await checkPoint.save(plan.final);
