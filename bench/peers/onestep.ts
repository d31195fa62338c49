import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { npyHeader } from "#src/formats/npy.js";
import { batchOf, type ModelCase, weightsOf } from "../cases.js";
import { models, type TrainableModel } from "../models.js";
import { type Peer, sumOfSquares } from "./peer.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

async function declareModel({ model, batch, size }: ModelCase, threads: number): Promise<TrainableModel> {
  await flow.clearDefaultSession();
  flow.config.computeThreadPoolSize(threads);
  flow.config.seed(1);
  return models[model]!.declare({ batch, ...(size === undefined ? {} : { size }), withoutDropout: true });
}

export const peer: Peer = {
  version,
  async open(benchCase, threads) {
    await flow.clearDefaultSession();
    flow.config.computeThreadPoolSize(threads);
    const { input, layers, batch, learningRate, mode } = benchCase;
    const logitsOf = (images: flow.Blob): flow.Blob =>
      layers.reduce((x, layer, i) => {
        const name = `${layer.kind}${i + 1}`;
        if (layer.kind === "pool") return flow.nn.maxPool2d(x, 2, 2, "SAME");
        if (layer.kind === "conv")
          return flow.layers.conv2d(x, layer.filters, layer.kernel, {
            padding: "SAME",
            activation: flow.nn.relu,
            name,
          });
        const flat = x.shape.length > 2 ? flow.reshape(x, [batch, -1]) : x;
        return flow.layers.dense(flat, layer.units, { name, ...(layer.relu ? { activation: flow.nn.relu } : {}) });
      }, images);
    const x = tp.Numpy.Placeholder([batch, ...input]);
    const { images, labels } = batchOf(benchCase);
    let step: () => Promise<number>;
    if (mode === "train") {
      const job = flow.globalFunction(
        { type: "train", name: "train_job", returns: tp.Numpy },
        [x, tp.Numpy.Placeholder([batch], { dtype: flow.int32 })],
        (blob, classes) => {
          const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(classes, logitsOf(blob));
          new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [learningRate]), {
            momentum: 0,
          }).minimize(loss);
          return loss;
        },
      );
      step = async () => (await job(images, labels)).mean();
    } else {
      const job = flow.globalFunction({ type: "predict", name: "predict_job", returns: tp.Numpy }, [x], logitsOf);
      step = async () => sumOfSquares((await job(images)).data as Float32Array);
    }
    // Given weights come in the documented way: as a directory in OneFlow's layout.
    const folder = mkdtempSync(join(tmpdir(), "onestep-bench-"));
    for (const [i, { layer, data }] of weightsOf(benchCase).entries()) {
      const name = join(folder, `${layer}-${i % 2 === 0 ? "weight" : "bias"}`);
      mkdirSync(name);
      writeFileSync(join(name, "out"), data);
    }
    if (mode === "train") {
      mkdirSync(join(folder, "System-Train-TrainStep-train_job"));
      writeFileSync(join(folder, "System-Train-TrainStep-train_job", "out"), new BigInt64Array(1));
    }
    mkdirSync(join(folder, "snapshot_done"));
    await new flow.train.CheckPoint().load(folder);
    rmSync(folder, { recursive: true });
    return step;
  },
  async openModel(benchCase, threads, { weights }) {
    const { step } = await declareModel(benchCase, threads);
    await new flow.train.CheckPoint().load(weights);
    return step;
  },
  async exportModel(benchCase, threads, { weights, feeds }) {
    const model = await declareModel(benchCase, threads);
    const checkPoint = new flow.train.CheckPoint();
    await checkPoint.init();
    await checkPoint.save(weights);
    mkdirSync(feeds);
    for (const [i, { shape, data }] of model.feeds.entries()) {
      const header = npyHeader(data instanceof Int32Array ? "int32" : "float32", shape);
      writeFileSync(join(feeds, `${i}.npy`), Buffer.concat([header, Buffer.from(data.buffer)]));
    }
    return { flop: (await flow.describe(model.job)).flop.call };
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
    for (let i = 0; i < 24; i++) {
      const started = performance.now();
      await product(data);
      best = Math.min(best, performance.now() - started);
    }
    return (8 * 2 * n ** 3) / best / 1e6;
  },
};
