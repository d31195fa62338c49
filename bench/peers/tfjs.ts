import { batchOf, weightsOf } from "../cases.js";
import { type Peer, sumOfSquares } from "./peer.js";
import { openTfjs, openTfjsWasm } from "./tfjs-node.js";

const backend = process.argv[3]!;
performance.mark("tfjs");
// biome-ignore lint/suspicious/noExplicitAny: the benchmark's own packages have no types here
const tf: any = openTfjs(backend);
performance.measure("import", "tfjs");

export const peer: Peer = {
  version: `4.22.0 ${backend}`,
  async open(benchCase, threads) {
    if (backend === "wasm") openTfjsWasm().setThreadsCount(threads);
    tf.env().set("PROD", true); // silences its advertisement
    await tf.setBackend(backend);
    await tf.ready();
    const { images, labels } = batchOf(benchCase);
    const { input, layers, batch, mode } = benchCase;
    // Its CPU kernels convolve NHWC only, with filters [h, w, in, out].
    const image = input.length === 3;
    const x = image
      ? tf.transpose(tf.tensor(images, [batch, ...input]), [0, 2, 3, 1])
      : tf.tensor2d(images, [batch, input[0]]);
    const last = layers.at(-1)!;
    const oneHot = tf.cast(tf.oneHot(tf.tensor1d(labels, "int32"), last.kind === "dense" ? last.units : 1), "float32");
    const variables = weightsOf(benchCase).map(({ shape, data }) => {
      const tensor = tf.tensor(data, [...shape]);
      return tf.variable(shape.length === 4 ? tf.transpose(tensor, [2, 3, 1, 0]) : tensor);
    });
    const logitsOf = (): unknown => {
      let h = x;
      let next = 0;
      for (const layer of layers) {
        if (layer.kind === "pool") {
          h = tf.maxPool(h, 2, 2, "same");
          continue;
        }
        const [weight, bias] = [variables[next++], variables[next++]];
        if (layer.kind === "conv") h = tf.relu(tf.add(tf.conv2d(h, weight, 1, "same"), bias));
        else {
          if (h.shape.length === 4) h = tf.reshape(tf.transpose(h, [0, 3, 1, 2]), [batch, -1]);
          h = tf.add(tf.matMul(h, weight, false, true), bias);
          if (layer.relu) h = tf.relu(h);
        }
      }
      return h;
    };
    if (mode === "predict")
      return async () => {
        // biome-ignore lint/suspicious/noExplicitAny: as above
        const logits: any = tf.tidy(logitsOf);
        const data = await logits.data();
        logits.dispose();
        return sumOfSquares(data);
      };
    const optimizer = tf.train.sgd(benchCase.learningRate);
    return async () => {
      const cost = optimizer.minimize(() => tf.losses.softmaxCrossEntropy(oneHot, logitsOf()), true, variables);
      const [loss] = await cost.data();
      cost.dispose();
      return loss as number;
    };
  },
};
