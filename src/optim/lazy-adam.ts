import { MomentOptimizer, type MomentOptions } from "./moments.js";
import type { Schedule } from "./schedule.js";

/** Options of `LazyAdam`. */
export interface LazyAdamOptions extends MomentOptions {}

/**
 * Adam with bias correction, for tables that are read by `gather`. A table that the function config lists in
 * `indexedSlicesOptimizerConf` is updated in the rows that the step read, duplicates summed first: the means of all other
 * rows stay as they are, and no gradient of the table's size is made. Variables that are not listed are updated as `Adam`
 * does.
 * @flow optimizer.LazyAdam
 * @example
 * ```ts
 * const functionConfig = flow.functionConfig();
 * functionConfig.indexedSlicesOptimizerConf({ include_op_names: { op_name: ["table"] } });
 * const step = flow.globalFunction(
 *   { type: "train", name: "lookup", functionConfig, returns: tp.Numpy },
 *   [tp.Numpy.Placeholder([3], { dtype: flow.int32 })],
 *   (ids) => {
 *     const table = flow.getVariable("table", { shape: [4, 1], initializer: flow.onesInitializer() });
 *     const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.25]);
 *     new flow.optimizer.LazyAdam(rate).minimize(flow.math.reduceSum(flow.gather(table, ids)));
 *     return table;
 *   },
 * );
 * await new flow.train.CheckPoint().init();
 * await step([3, 0, 3]);
 * await step([1, 1, 1]); // -> [[0.75], [1], [1], [0.75]]
 * ```
 */
export class LazyAdam extends MomentOptimizer {
  override readonly name = "LazyAdam";
  constructor(lrScheduler: Schedule, options: LazyAdamOptions = {}) {
    super("LazyAdam", lrScheduler, options, [], { epsilon: 1e-8, doBiasCorrection: true });
  }
}
