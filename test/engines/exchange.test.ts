import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { describe, expect, test } from "vitest";
import { scratch, tinyImages, tinyJob, tinyLabels } from "../jobs/support.js";
import { isReady } from "./ready.js";

// The same program, seed and dropout on two engines. That each is right is shown against PyTorch in test/golden/.

const { layers, nn } = flow;
const engines = ["onnx", "tensorflow"] as const;
type EngineName = (typeof engines)[number];

const kernelInitializer = flow.truncatedNormal(0.05);
const dense = (x: flow.Blob, units: number, name: string, activation?: (x: flow.Blob) => flow.Blob): flow.Blob =>
  layers.dense(x, units, { name, kernelInitializer, ...(activation === undefined ? {} : { activation }) });

function mlp(images: flow.Blob): flow.Blob {
  const hidden = dense(flow.reshape(images, [images.shape[0]!, -1]), 512, "dense1", nn.relu);
  return dense(nn.dropout(hidden, 0.2, { name: "dropout" }), 10, "dense2");
}

function lenet(images: flow.Blob): flow.Blob {
  const block = (x: flow.Blob, filters: number, n: number): flow.Blob => {
    const options = { padding: "SAME", activation: nn.relu, kernelInitializer, name: `conv${n}` } as const;
    return nn.maxPool2d(layers.conv2d(x, filters, 5, options), 2, 2, "SAME", { name: `pool${n}` });
  };
  const flat = flow.reshape(block(block(images, 32, 1), 64, 2), [images.shape[0]!, -1]);
  return dense(nn.dropout(dense(flat, 512, "dense1", nn.relu), 0.2, { name: "dropout" }), 10, "dense2");
}

interface Plan {
  readonly batch: number;
  readonly rate: number;
  readonly momentum?: number;
  /** A checkpoint to begin from; else the seed's own initial values. */
  readonly load?: string;
  /** Where to save after so many steps. */
  readonly save?: Readonly<Record<number, string>>;
  /** Variables to read at the end. */
  readonly read?: readonly string[];
}

/** Losses of so many steps on one engine from batch `first` on, and variables after them. */
async function train(
  engine: EngineName,
  model: (images: flow.Blob) => flow.Blob,
  [first, last]: readonly [first: number, last: number],
  { batch, rate, momentum = 0, load, save = {}, read = [] }: Plan,
): Promise<{ readonly losses: readonly number[]; readonly values: readonly Float32Array[] }> {
  await flow.clearDefaultSession();
  flow.config.engine(engine);
  flow.config.seed(11);
  const job = flow.globalFunction(
    { type: "train", name: "train_job", returns: tp.Numpy },
    [tp.Numpy.Placeholder([batch, 1, 28, 28]), tp.Numpy.Placeholder([batch], { dtype: flow.int32 })],
    (images, labels) => {
      const loss = nn.sparseSoftmaxCrossEntropyWithLogits(labels, model(images));
      const schedule = new flow.optimizer.PiecewiseConstantScheduler([], [rate]);
      new flow.optimizer.SGD(schedule, { momentum }).minimize(loss);
      return loss;
    },
  );
  const checkPoint = new flow.train.CheckPoint();
  if (load === undefined) await checkPoint.init();
  else await checkPoint.load(load);
  const [[images, labels]] = await flow.data.loadMnist(batch, batch);
  const losses: number[] = [];
  for (let i = first; i < last; i++) {
    losses.push((await job(images[i]!, labels[i]!)).mean());
    const path = save[i + 1];
    if (path !== undefined) await checkPoint.save(path);
  }
  const values: Float32Array[] = [];
  for (const name of read)
    values.push((await flow.experimental.getInterfaceBlobValue(name)).data as unknown as Float32Array);
  return { losses, values };
}

const relative = (got: readonly number[], expected: readonly number[]): number =>
  Math.max(...got.map((value, i) => Math.abs(value - expected[i]!) / Math.abs(expected[i]!)));
const norm = (values: Float64Array): number => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
const weights = ["conv1", "conv2", "dense1", "dense2"].flatMap((name) => [`${name}-weight`, `${name}-bias`]);

describe.skipIf(!isReady("tensorflow"))("the same program, seed and dropout on onnx and tensorflow", () => {
  test("50 steps of the MLP: losses agree to 1e-5", async () => {
    const plan = { batch: 100, rate: 0.1 };
    const [ours, theirs] = [await train("onnx", mlp, [0, 50], plan), await train("tensorflow", mlp, [0, 50], plan)];
    expect(relative(theirs.losses, ours.losses)).toBeLessThan(1e-5);
    // It learns: there is something to agree on.
    expect(ours.losses.at(-1)!).toBeLessThan(ours.losses[0]! / 2);
  });

  test("15 steps of LeNet from gentle weights: losses agree to 1e-4", { timeout: 60_000 }, async () => {
    const plan = { batch: 25, rate: 0.01 };
    const [ours, theirs] = [await train("onnx", lenet, [0, 15], plan), await train("tensorflow", lenet, [0, 15], plan)];
    expect(relative(theirs.losses, ours.losses)).toBeLessThan(1e-4);
  });

  // Further on runs part, as PyTorch's do from themselves: one flipped unit is enough. Batches are small for speed.
  test("one step of LeNet from one checkpoint, after 10 to 50: loss and weights agree to 1e-4", {
    timeout: 60_000,
  }, async () => {
    const folder = scratch();
    const plan = { batch: 10, rate: 0.05 };
    const after = [10, 30, 50];
    const at = (step: number): string => join(folder, `after-${step}`);
    const save = Object.fromEntries(after.map((n) => [n, at(n)]));
    const { losses } = await train("onnx", lenet, [0, 50], { ...plan, save });
    expect(losses.at(-1)!).toBeLessThan(losses[0]! * 0.8);
    for (const step of after) {
      const one = { ...plan, load: at(step), read: weights };
      const [mine, other] = [
        await train("onnx", lenet, [step, step + 1], one),
        await train("tensorflow", lenet, [step, step + 1], one),
      ];
      expect(relative(other.losses, mine.losses)).toBeLessThan(1e-4);
      for (const [i, values] of mine.values.entries()) {
        const difference = Float64Array.from(values, (value, j) => value - other.values[i]![j]!);
        expect(norm(difference) / norm(Float64Array.from(values)), weights[i]).toBeLessThan(1e-5);
      }
    }
  });

  test.each([
    ["tensorflow", "onnx"],
    ["onnx", "tensorflow"],
  ] as const)("a checkpoint of %s goes on on %s, and to the bit where it returns", async (home, away) => {
    const folder = scratch();
    const run = async (engine: EngineName, steps: number, path: { load?: string; save?: string } = {}) => {
      await flow.clearDefaultSession();
      flow.config.engine(engine);
      flow.config.seed(5);
      const job = tinyJob({ momentum: 0.9, dropout: 0.5 });
      const checkPoint = new flow.train.CheckPoint();
      if (path.load === undefined) await checkPoint.init();
      else await checkPoint.load(path.load);
      const losses: number[] = [];
      for (let i = 0; i < steps; i++) losses.push((await job(tinyImages, tinyLabels)).mean());
      if (path.save !== undefined) await checkPoint.save(path.save);
      return losses;
    };
    const whole = await run(home, 50);
    const first = await run(home, 20, { save: join(folder, "half") });
    await run(away, 0, { load: join(folder, "half"), save: join(folder, "guest") });
    const second = await run(home, 30, { load: join(folder, "guest") });
    expect([...first, ...second]).toEqual(whole);
    const guest = await run(away, 30, { load: join(folder, "half") });
    expect(relative(guest, second)).toBeLessThan(1e-5);
    expect(new Set(whole).size).toBe(50);
  });
});
