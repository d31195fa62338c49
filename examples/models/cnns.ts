import * as flow from "onestep";
import { tp } from "onestep";
import { alexnet } from "./alexnet.js";
import type { CnnOptions } from "./cnn-options.js";
import { inceptionV3 } from "./inception.js";
import { mobilenetV2 } from "./mobilenet-v2.js";
import { resnet50 } from "./resnet.js";
import { vgg16bn } from "./vgg.js";

/** The CNNs by the names that the original's training program takes, with the size of their images. */
export const cnns = {
  alexnet: { build: alexnet, size: 224 },
  vgg: { build: vgg16bn, size: 224 },
  resnet50: { build: resnet50, size: 224 },
  inceptionv3: { build: inceptionV3, size: 299 },
  mobilenetv2: { build: mobilenetV2, size: 224 },
} as const;

export type CnnName = keyof typeof cnns;

/** Options of `trainNet`. */
export interface TrainNetOptions extends CnnOptions {
  readonly batch: number;
  /** Height and width of the images; default the model's. */
  readonly size?: number;
  /** Default 0.1; 0 trains on the labels as they are. */
  readonly labelSmoothing?: number;
  /** Default momentum 0.9 at a constant rate of 0.01. */
  readonly optimizer?: flow.optimizer.Optimizer;
}

/** 1 - e + e / classes at the label, e / classes elsewhere. */
function smoothed(labels: flow.Blob, classes: number, e: number): flow.Blob {
  return flow.oneHot(labels, classes, { onValue: 1 - e + e / classes, offValue: e / classes, dtype: flow.float });
}

/** The training job of OneFlow-Benchmark v0.2.0 (`Classification/cnns/of_cnn_train_val.py`) on images and labels that are fed. */
export function trainNet(name: CnnName, options: TrainNetOptions) {
  const { build, size: documented } = cnns[name];
  const { batch, size = documented, labelSmoothing = 0.1, ...network } = options;
  const { classes = 1000 } = network;
  return flow.globalFunction(
    { type: "train", name: "TrainNet", returns: { loss: tp.Numpy, predictions: tp.Numpy } },
    [tp.Numpy.Placeholder([batch, 3, size, size]), tp.Numpy.Placeholder([batch], { dtype: flow.int32 })],
    (images, labels) => {
      const logits = build(images, network);
      const loss = flow.math.reduceMean(
        labelSmoothing > 0
          ? flow.nn.softmaxCrossEntropyWithLogits(smoothed(labels, classes, labelSmoothing), logits, {
              name: "softmax_loss",
            })
          : flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits, { name: "softmax_loss" }),
      );
      const constant = new flow.optimizer.PiecewiseConstantScheduler([], [0.01]);
      (options.optimizer ?? new flow.optimizer.SGD(constant)).minimize(loss);
      return { loss, predictions: flow.nn.softmax(logits) };
    },
  );
}
