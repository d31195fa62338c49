import * as flow from "onestep";
import { tp } from "onestep";
import type { Job } from "#src/job/global-function.js";
import { bertBase, bertOptimizer, bertPretrain } from "../examples/models/bert.js";
import { type CnnName, cnns, trainNet } from "../examples/models/cnns.js";
import { dcganJobs } from "../examples/models/dcgan-jobs.js";
import { syntheticClicks, syntheticImages } from "../examples/models/synthetic.js";
import { wideDeepJobs } from "../examples/models/wide-deep-jobs.js";

/** What a benchmark may choose of a model; defaults are the model's own. */
export interface ModelSize {
  readonly batch?: number;
  /** Height and width of images. */
  readonly size?: number;
}

/** A train job at full size, and a step of it on a fixed batch that gives the mean loss. */
export interface TrainableModel {
  readonly job: Job<readonly never[], unknown>;
  step(): Promise<number>;
}

/** A model of `examples/models`. */
export interface BenchModel {
  readonly title: string;
  declare(size: ModelSize): TrainableModel;
}

const cnn = (name: CnnName, defaultBatch: number): BenchModel => ({
  title: `${name}, batch ${defaultBatch}`,
  declare({ batch = defaultBatch, size = cnns[name].size }) {
    const job = trainNet(name, { batch, size });
    const { images, labels } = syntheticImages(batch, size, 1000);
    return { job: job as never, step: async () => (await job(images, labels)).loss.item() };
  },
});

/** BERT-base with the heads of pretraining and the documented optimizer, on made-up tokens. */
function bert(batch: number): TrainableModel {
  const { seqLength } = bertBase;
  const predictions = 20;
  const int = (length: number) => tp.Numpy.Placeholder([batch, length], { dtype: flow.int32 });
  const [sequence, words] = [int(seqLength), int(predictions)];
  const job = flow.globalFunction(
    { type: "train", name: "PretrainJob", returns: tp.Numpy },
    [sequence, sequence, sequence, words, words, tp.Numpy.Placeholder([batch, predictions]), int(1)],
    (inputIds, inputMask, segmentIds, maskedLmPositions, maskedLmIds, maskedLmWeights, nextSentenceLabels) => {
      const { totalLoss } = bertPretrain(
        { inputIds, inputMask, segmentIds },
        { maskedLmPositions, maskedLmIds, maskedLmWeights, nextSentenceLabels },
        bertBase,
      );
      bertOptimizer(1e-4, 100).minimize(totalLoss);
      return totalLoss;
    },
  );
  const filled = (length: number, of: (i: number) => number): Int32Array<ArrayBuffer> =>
    Int32Array.from({ length: batch * length }, (_, i) => of(i));
  const feeds = [
    filled(seqLength, (i) => 1000 + ((i * 7919) % 20000)),
    filled(seqLength, () => 1),
    filled(seqLength, (i) => (i % seqLength < 64 ? 0 : 1)),
    filled(predictions, (i) => 1 + 6 * (i % predictions)),
    filled(predictions, (i) => 1000 + i),
    new Float32Array(batch * predictions).fill(1),
    filled(1, (i) => i % 2),
  ] as const;
  return { job: job as never, step: async () => (await job(...feeds)).item() };
}

/** Every model that `bench` and `bench/compile` can run, by name. */
export const models: Readonly<Record<string, BenchModel>> = {
  alexnet: cnn("alexnet", 32),
  vgg: cnn("vgg", 4),
  resnet50: cnn("resnet50", 8),
  inceptionv3: cnn("inceptionv3", 4),
  mobilenetv2: cnn("mobilenetv2", 8),
  wdl: {
    title: "Wide & Deep, batch 512",
    declare({ batch = 512 }) {
      const { trainJob } = wideDeepJobs({ batch });
      const { labels, denseFields, wideSparseFields, deepSparseFields } = syntheticClicks(batch, 1_603_616, 1_603_616);
      return {
        job: trainJob as never,
        step: async () => (await trainJob(labels, denseFields, wideSparseFields, deepSparseFields)).mean(),
      };
    },
  },
  dcgan: {
    title: "DCGAN's discriminator, batch 32",
    declare({ batch = 32 }) {
      const { trainDiscriminator } = dcganJobs({ batch });
      const noise = Float32Array.from({ length: batch * 100 }, (_, i) => Math.sin(i * 12.9898));
      const images = Float32Array.from({ length: batch * 28 * 28 }, (_, i) => Math.cos(i / 9));
      return {
        job: trainDiscriminator as never,
        step: async () => (await trainDiscriminator(noise, images)).dLoss.mean(),
      };
    },
  },
  bert: { title: "BERT-base, batch 4, 128 tokens", declare: ({ batch = 4 }) => bert(batch) },
};
