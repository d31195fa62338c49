import * as flow from "onestep";
import { tp } from "onestep";
import { type WideDeepOptions, wideAndDeep } from "./wide-deep.js";

/** Options of `wideDeepJobs`. */
export interface WideDeepJobOptions extends WideDeepOptions {
  readonly batch: number;
  /** Default Adam at 0.001 with bias correction. */
  readonly optimizer?: flow.optimizer.Optimizer;
}

/** The two jobs of `wdl_train_eval.py` on rows that are fed: training, which gives the loss of each row, and evaluation. */
export function wideDeepJobs({ batch, optimizer, ...options }: WideDeepJobOptions) {
  const int = (columns: number) => tp.Numpy.Placeholder([batch, columns], { dtype: flow.int32 });
  const rows = [int(1), tp.Numpy.Placeholder([batch, 13]), int(2), int(26)] as const;
  const trainJob = flow.globalFunction(
    { type: "train", name: "train_job", returns: tp.Numpy },
    rows,
    (labels, denseFields, wideSparseFields, deepSparseFields) => {
      const logits = wideAndDeep({ denseFields, wideSparseFields, deepSparseFields }, options);
      const loss = flow.nn.sigmoidCrossEntropyWithLogits(labels, logits);
      const constant = new flow.optimizer.PiecewiseConstantScheduler([], [0.001]);
      (optimizer ?? new flow.optimizer.Adam(constant, { doBiasCorrection: true })).minimize(loss);
      return loss;
    },
  );
  const evalJob = flow.globalFunction(
    { name: "eval_job", returns: { loss: tp.Numpy, predict: tp.Numpy } },
    rows,
    (labels, denseFields, wideSparseFields, deepSparseFields) => {
      const logits = wideAndDeep({ denseFields, wideSparseFields, deepSparseFields }, options);
      return {
        loss: flow.nn.sigmoidCrossEntropyWithLogits(labels, logits),
        predict: flow.math.sigmoid(logits),
      };
    },
  );
  return { trainJob, evalJob };
}
