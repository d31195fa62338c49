import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { describe, expect, test } from "vitest";
import { formula } from "../../bench/cases.js";
import { scratch } from "../jobs/support.js";

interface Run {
  readonly rate: number;
  readonly momentum: number;
  readonly torch: readonly number[];
  /** Largest relative difference of PyTorch's float32 losses from its float64 losses. */
  readonly spread: number;
  readonly variables: Readonly<
    Record<string, { readonly sum: number; readonly squares: number; readonly first: readonly number[] }>
  >;
}
const golden = JSON.parse(readFileSync(new URL("./lenet.json", import.meta.url), "utf8")) as {
  readonly names: readonly string[];
  readonly shapes: readonly (readonly number[])[];
  readonly scales: readonly number[];
  readonly runs: Readonly<Record<string, Run>>;
};

/** The given weights as a directory in OneFlow's own layout. */
function givenWeights(): string {
  const folder = join(scratch(), "weights");
  mkdirSync(join(folder, "snapshot_done"), { recursive: true });
  for (const [t, name] of golden.names.entries()) {
    mkdirSync(join(folder, name));
    const length = golden.shapes[t]!.reduce((a, b) => a * b);
    writeFileSync(join(folder, name, "out"), formula(20 + t, length, golden.scales[t]!));
  }
  return folder;
}

const { layers, nn } = flow;

function lenet(images: flow.Blob): flow.Blob {
  const conv1 = layers.conv2d(images, 32, 5, { padding: "SAME", activation: nn.relu, name: "conv1" });
  const pool1 = nn.maxPool2d(conv1, 2, 2, "SAME", { name: "pool1", dataFormat: "NCHW" });
  const conv2 = layers.conv2d(pool1, 64, 5, { padding: "SAME", activation: nn.relu, name: "conv2" });
  const pool2 = nn.maxPool2d(conv2, 2, 2, "SAME", { name: "pool2", dataFormat: "NCHW" });
  const hidden = layers.dense(flow.reshape(pool2, [100, -1]), 512, { activation: nn.relu, name: "dense1" });
  return layers.dense(hidden, 10, { name: "dense2" });
}

/** Losses of the first steps and the saved tree after them. */
async function train(
  engine: string,
  { rate, momentum }: Run,
  steps: number,
): Promise<{ losses: number[]; folder: string }> {
  flow.config.engine(engine);
  const job = flow.globalFunction(
    { type: "train", name: "train_job", returns: tp.Numpy },
    [tp.Numpy.Placeholder([100, 1, 28, 28]), tp.Numpy.Placeholder([100], { dtype: flow.int32 })],
    (images, labels) => {
      const loss = nn.sparseSoftmaxCrossEntropyWithLogits(labels, lenet(images));
      const schedule = new flow.optimizer.PiecewiseConstantScheduler([], [rate]);
      new flow.optimizer.SGD(schedule, { momentum }).minimize(loss);
      return loss;
    },
  );
  const checkPoint = new flow.train.CheckPoint();
  await checkPoint.load(givenWeights());
  const [[images, labels]] = await flow.data.loadMnist(100, 100);
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push((await job(images[i]!, labels[i]!)).mean());
  const folder = join(scratch(), "after");
  await checkPoint.save(folder);
  return { losses, folder };
}

const relative = (got: readonly number[], expected: readonly number[]): number =>
  Math.max(...got.map((value, i) => Math.abs(value - expected[i]!) / Math.abs(expected[i]!)));

describe("LeNet from given weights, against PyTorch", () => {
  for (const [name, run] of Object.entries(golden.runs)) {
    test(`onnx, ${name}: 15 losses and every variable after them`, { timeout: 60_000 }, async () => {
      const { losses, folder } = await train("onnx", run, run.torch.length);
      expect(relative(losses, run.torch)).toBeLessThan(1e-4);
      for (const [variable, { sum, squares, first }] of Object.entries(run.variables)) {
        const bytes = readFileSync(join(folder, variable, "out"));
        const values = Array.from(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4));
        const norm = Math.sqrt(squares);
        expect(Math.abs(Math.sqrt(values.reduce((total, v) => total + v * v, 0)) - norm)).toBeLessThan(1e-5 * norm);
        expect(Math.abs(values.reduce((total, v) => total + v, 0) - sum)).toBeLessThan(
          1e-5 * norm * Math.sqrt(values.length),
        );
        for (const [i, value] of first.entries()) expect(Math.abs(values[i]! - value)).toBeLessThan(1e-5);
      }
    });

    // A reference step takes ten seconds: one of plain SGD here, four of each in test:ci.
    const full = process.env.ONESTEP_FULL === "1";
    test.runIf(full || name === "sgd")(`reference, ${name}`, { timeout: 240_000 }, async () => {
      const { losses } = await train("reference", run, full ? 4 : 1);
      expect(relative(losses, run.torch)).toBeLessThan(1e-4);
    });
  }
});
