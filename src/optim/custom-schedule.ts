import { FlowError } from "../core/errors.js";
import { sizeOf } from "../core/shape.js";
import type { Blob } from "../graph/blob.js";
import { textOf } from "../graph/trace.js";
import { cast } from "../ops/elementwise.js";
import { reshape } from "../ops/structure.js";
import { blobNamed, requireBlobName } from "./blob-name.js";
import type { Schedule } from "./schedule.js";

/**
 * The learning rate is a blob of the job, given by its logical name: a floating blob of one element that is made before
 * `minimize`. There is no warm-up and no decay.
 * @flow optimizer.CustomScheduler
 * @example
 * ```ts
 * const step = flow.globalFunction(
 *   { type: "train", name: "t", returns: tp.Numpy },
 *   [tp.Numpy.Placeholder([1])],
 *   (rate) => {
 *     const w = flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() });
 *     const schedule = new flow.optimizer.CustomScheduler(rate.logicalBlobName);
 *     new flow.optimizer.SGD(schedule, { momentum: 0 }).minimize(w);
 *     return w;
 *   },
 * );
 * await new flow.train.CheckPoint().init();
 * await step([0.5]);
 * await step([0.25]); // -> [-0.5]
 * ```
 */
export class CustomScheduler implements Schedule {
  constructor(
    /** Logical name of the blob, `<op name>/out`. */
    readonly lbn: string,
  ) {
    requireBlobName("CustomScheduler", "lbn", lbn);
  }

  /** The blob as a rate, in the job being traced: float32 `[1]`. @internal */
  rate(): Blob {
    const blob = blobNamed("CustomScheduler", this.lbn);
    if (!blob.dtype.startsWith("float") || sizeOf(blob.shape) !== 1)
      throw new FlowError(
        "E_SHAPE",
        `CustomScheduler: '${this.lbn}' is ${textOf(blob)}, expected a floating blob of one element`,
      );
    return cast(reshape(blob, [1]), "float32");
  }

  /** E_ARGUMENT: the rate is known only while a step runs. */
  learningRate(): never {
    throw new FlowError(
      "E_ARGUMENT",
      `CustomScheduler: the learning rate is the blob '${this.lbn}', known only while a step runs; return or watch that blob`,
    );
  }
}
