import * as flow from "onestep";
import { tp } from "onestep";
import { type WideDeepOptions, wideAndDeep } from "./wide-deep.js";

/** Options of `wideDeepJobs`. */
export interface WideDeepJobOptions extends WideDeepOptions {
  readonly batch: number;
  /** Of LazyAdam; default 0.001. */
  readonly learningRate?: number;
}

/**
 * The two jobs of `wdl_train_eval.py` on rows that are fed: training, which gives the loss of each row, and evaluation. As there,
 * a step updates those rows of the two tables that it read.
 */
export function wideDeepJobs({ batch, learningRate = 0.001, ...options }: WideDeepJobOptions) {
  const functionConfig = flow.functionConfig();
  functionConfig.indexedSlicesOptimizerConf({
    include_op_names: { op_name: ["wide_embedding", "deep_embedding"] },
  });
  const int = (columns: number) => tp.Numpy.Placeholder([batch, columns], { dtype: flow.int32 });
  const rows = [int(1), tp.Numpy.Placeholder([batch, 13]), int(2), int(26)] as const;
  const trainJob = flow.globalFunction(
    { type: "train", name: "train_job", functionConfig, returns: tp.Numpy },
    rows,
    (labels, denseFields, wideSparseFields, deepSparseFields) => {
      const logits = wideAndDeep({ denseFields, wideSparseFields, deepSparseFields }, options);
      const loss = flow.nn.sigmoidCrossEntropyWithLogits(labels, logits);
      const constant = new flow.optimizer.PiecewiseConstantScheduler([], [learningRate]);
      new flow.optimizer.LazyAdam(constant).minimize(loss);
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
