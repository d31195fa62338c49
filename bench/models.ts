import * as flow from "onestep";
import { tp } from "onestep";
import type { Job } from "#src/job/global-function.js";
import { type BertConfig, bertBase, bertClassifier, bertSmall } from "../examples/models/bert.js";
import { type CnnName, cnns, trainNet } from "../examples/models/cnns.js";
import { dcganJobs } from "../examples/models/dcgan-jobs.js";
import { syntheticClicks, syntheticImages } from "../examples/models/synthetic.js";
import { wideDeepJobs } from "../examples/models/wide-deep-jobs.js";

/** What a benchmark may choose of a model; defaults are the model's own. */
export interface ModelSize {
  readonly batch?: number;
  /** Height and width of images. */
  readonly size?: number;
  /** Leaves dropout out, whose draws differ between frameworks; default false. */
  readonly withoutDropout?: boolean;
}

/** A train job at full size, the fixed batch of its arguments, and a step on it that gives the mean loss before the update. */
export interface TrainableModel {
  readonly job: Job<readonly never[], unknown>;
  readonly feeds: readonly BatchArray[];
  step(): Promise<number>;
}

/** One argument of a job. */
export interface BatchArray {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
}

/** A model of `examples/models`. */
export interface BenchModel {
  readonly title: string;
  declare(size: ModelSize): TrainableModel;
}

const cnn = (name: CnnName, defaultBatch: number): BenchModel => ({
  title: `${name}, batch ${defaultBatch}`,
  declare({ batch = defaultBatch, size = cnns[name].size, withoutDropout = false }) {
    const job = trainNet(name, { batch, size, ...(withoutDropout ? { dropoutRate: 0 } : {}) });
    const { images, labels } = syntheticImages(batch, size, 1000);
    return {
      job: job as never,
      feeds: [
        { shape: [batch, 3, size, size], data: images },
        { shape: [batch], data: labels },
      ],
      step: async () => (await job(images, labels)).loss.item(),
    };
  },
});

/**
 * A BERT that learns to classify made-up token sequences, as fine-tuning does: the pooled first token, two labels, Adam with bias
 * correction at a constant 5e-5, no decay and no clipping. The arguments are tokens, mask, segments, labels.
 */
const bertFinetuning = (config: BertConfig, defaultBatch: number, title: string): BenchModel => ({
  title,
  declare({ batch = defaultBatch, withoutDropout = false }) {
    const { seqLength, vocabSize } = config;
    const sizes = withoutDropout ? { ...config, hiddenDropoutProb: 0, attentionProbsDropoutProb: 0 } : config;
    const sequence = tp.Numpy.Placeholder([batch, seqLength], { dtype: flow.int32 });
    const job = flow.globalFunction(
      { type: "train", name: "BertGlueFinetuneJob", returns: tp.Numpy },
      [sequence, sequence, sequence, tp.Numpy.Placeholder([batch], { dtype: flow.int32 })],
      (inputIds, inputMask, segmentIds, labels) => {
        const logits = bertClassifier({ inputIds, inputMask, segmentIds }, sizes);
        const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits);
        const rate = new flow.optimizer.PiecewiseConstantScheduler([], [5e-5]);
        new flow.optimizer.Adam(rate, { doBiasCorrection: true }).minimize(loss);
        return loss;
      },
    );
    const filled = (of: (i: number) => number): Int32Array<ArrayBuffer> =>
      Int32Array.from({ length: batch * seqLength }, (_, i) => of(i));
    const arrays = [
      filled((i) => (i * 7919) % vocabSize),
      filled((i) => (i % seqLength < seqLength - 16 ? 1 : 0)),
      filled((i) => (i % seqLength < seqLength / 2 ? 0 : 1)),
      Int32Array.from({ length: batch }, (_, i) => i % 2),
    ] as const;
    return {
      job: job as never,
      feeds: arrays.map((data, i) => ({ shape: i < 3 ? [batch, seqLength] : [batch], data })),
      step: async () => (await job(...arrays)).mean(),
    };
  },
});

/** Every model that `bench` and `bench/compile` can run, by name. */
export const models: Readonly<Record<string, BenchModel>> = {
  alexnet: cnn("alexnet", 32),
  vgg: cnn("vgg", 4),
  resnet50: cnn("resnet50", 8),
  inceptionv3: cnn("inceptionv3", 4),
  mobilenetv2: cnn("mobilenetv2", 8),
  wdl: {
    title: "Wide & Deep, batch 512",
    declare({ batch = 512, withoutDropout = false }) {
      const { trainJob } = wideDeepJobs({ batch, ...(withoutDropout ? { dropoutRate: 0 } : {}) });
      const { labels, denseFields, wideSparseFields, deepSparseFields } = syntheticClicks(batch, 1_603_616, 1_603_616);
      return {
        job: trainJob as never,
        feeds: [
          { shape: [batch, 1], data: labels },
          { shape: [batch, 13], data: denseFields },
          { shape: [batch, 2], data: wideSparseFields },
          { shape: [batch, 26], data: deepSparseFields },
        ],
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
        feeds: [
          { shape: [batch, 100], data: noise },
          { shape: [batch, 1, 28, 28], data: images },
        ],
        step: async () => (await trainDiscriminator(noise, images)).dLoss.mean(),
      };
    },
  },
  transformer: bertFinetuning(
    { ...bertSmall, seqLength: 128 },
    32,
    "transformer of 2 layers, width 128, batch 32, 128 tokens",
  ),
  bert: bertFinetuning(bertBase, 4, "BERT-base, batch 4, 128 tokens"),
};
