import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { batchOf, weightsOf } from "../cases.js";
import { serve } from "./serve.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

await serve({
  version,
  async open(benchCase, threads) {
    await flow.clearDefaultSession();
    flow.config.computeThreadPoolSize(threads);
    const { widths, batch, learningRate } = benchCase;
    const job = flow.globalFunction(
      { type: "train", name: "train_job", returns: tp.Numpy },
      [tp.Numpy.Placeholder([batch, widths[0]!]), tp.Numpy.Placeholder([batch], { dtype: flow.int32 })],
      (images, labels) => {
        const logits = widths.slice(1).reduce(
          (x, out, layer) =>
            flow.layers.dense(x, out, {
              name: `dense${layer + 1}`,
              ...(layer < widths.length - 2 ? { activation: flow.nn.relu } : {}),
            }),
          images,
        );
        const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits);
        new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [learningRate]), {
          momentum: 0,
        }).minimize(loss);
        return loss;
      },
    );
    // Given weights come in the documented way: as a directory in OneFlow's layout.
    const folder = mkdtempSync(join(tmpdir(), "onestep-bench-"));
    const names = widths.slice(1).flatMap((_, layer) => [`dense${layer + 1}-weight`, `dense${layer + 1}-bias`]);
    for (const [i, { data }] of weightsOf(benchCase).entries()) {
      mkdirSync(join(folder, names[i]!));
      writeFileSync(join(folder, names[i]!, "out"), data);
    }
    mkdirSync(join(folder, "System-Train-TrainStep-train_job"));
    writeFileSync(join(folder, "System-Train-TrainStep-train_job", "out"), new BigInt64Array(1));
    mkdirSync(join(folder, "snapshot_done"));
    await new flow.train.CheckPoint().load(folder);
    rmSync(folder, { recursive: true });
    const { images, labels } = batchOf(benchCase);
    return async () => (await job(images, labels)).mean();
  },
  async peak(threads) {
    await flow.clearDefaultSession();
    flow.config.computeThreadPoolSize(threads);
    const n = 1024;
    const data = Float32Array.from({ length: n * n }, (_, i) => Math.sin(i));
    const product = flow.globalFunction({ name: "gemm", returns: tp.Numpy }, [tp.Numpy.Placeholder([n, n])], (a) => {
      let x = a;
      for (let i = 0; i < 8; i++) x = flow.matmul(x, a);
      return flow.math.reduceSum(x);
    });
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 8; i++) {
      const started = performance.now();
      await product(data);
      best = Math.min(best, performance.now() - started);
    }
    return (8 * 2 * n ** 3) / best / 1e6;
  },
});
