import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { afterEach } from "vitest";

const folders: string[] = [];
afterEach(async () => {
  await flow.clearDefaultSession();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder, removed after the test. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "onestep-test-"));
  folders.push(folder);
  return folder;
}

export interface TinyOptions {
  readonly name?: string;
  readonly momentum?: number;
  readonly dropout?: number;
  readonly learningRate?: number;
  /** Called with the loss instead of SGD's minimize. */
  readonly minimize?: (loss: flow.Blob) => void;
}

/** A train job 4-8-2 on batches of 8; returns the loss per row. */
export function tinyJob({
  name = "train_job",
  momentum = 0,
  dropout = 0,
  learningRate = 0.1,
  minimize,
}: TinyOptions = {}) {
  return flow.globalFunction(
    { type: "train", name, returns: tp.Numpy },
    [tp.Numpy.Placeholder([8, 4]), tp.Numpy.Placeholder([8], { dtype: flow.int32 })],
    (x, labels) => {
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, tinyModel(x, dropout));
      if (minimize === undefined)
        new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [learningRate]), {
          momentum,
        }).minimize(loss);
      else minimize(loss);
      return loss;
    },
  );
}

export function tinyModel(x: flow.Blob, dropout = 0): flow.Blob {
  const kernelInitializer = flow.truncatedNormal(0.5);
  const hidden = flow.layers.dense(x, 8, { activation: flow.nn.relu, kernelInitializer, name: "dense1" });
  return flow.layers.dense(flow.nn.dropout(hidden, dropout, { name: "drop" }), 2, {
    kernelInitializer,
    name: "dense2",
  });
}

export const tinyImages = Array.from({ length: 8 }, (_, i) =>
  Array.from({ length: 4 }, (_unused, j) => Math.sin(3 * i + j)),
);
export const tinyLabels = [0, 1, 1, 0, 1, 0, 0, 1];

/** The message of the FlowError that `task` throws or rejects with. */
export async function failure(task: () => unknown): Promise<flow.FlowError> {
  try {
    await task();
  } catch (error) {
    if (error instanceof flow.FlowError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
