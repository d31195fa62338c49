import { createRequire } from "node:module";
import { dirname, sep } from "node:path";
import { batchOf, weightsOf } from "../cases.js";
import { serve } from "./serve.js";

const require = createRequire(new URL("../tfjs/package.json", import.meta.url));
const backend = process.argv[2]!;
// The benchmark's own packages have no types here: they are installed by npm run bench only.
// biome-ignore lint/suspicious/noExplicitAny: as above
const tf: any = require("@tensorflow/tfjs");
// biome-ignore lint/suspicious/noExplicitAny: as above
const wasm: any = backend === "wasm" ? require("@tensorflow/tfjs-backend-wasm") : undefined;

await serve({
  version: `4.22.0 ${backend}`,
  async open(benchCase, threads) {
    if (wasm !== undefined) {
      wasm.setWasmPaths(
        `${dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json"))}${sep}wasm-out${sep}`,
      );
      wasm.setThreadsCount(threads);
    }
    tf.env().set("PROD", true); // silences its advertisement
    await tf.setBackend(backend);
    await tf.ready();
    const { images, labels } = batchOf(benchCase);
    const x = tf.tensor2d(images, [benchCase.batch, benchCase.widths[0]]);
    const oneHot = tf.cast(tf.oneHot(tf.tensor1d(labels, "int32"), benchCase.widths.at(-1)), "float32");
    const variables = weightsOf(benchCase).map(({ shape, data }) => tf.variable(tf.tensor(data, [...shape])));
    const optimizer = tf.train.sgd(benchCase.learningRate);
    return async () => {
      const cost = optimizer.minimize(
        () => {
          let h = x;
          for (let layer = 0; layer < variables.length; layer += 2) {
            h = tf.add(tf.matMul(h, variables[layer], false, true), variables[layer + 1]);
            if (layer + 2 < variables.length) h = tf.relu(h);
          }
          return tf.losses.softmaxCrossEntropy(oneHot, h);
        },
        true,
        variables,
      );
      const [loss] = await cost.data();
      cost.dispose();
      return loss as number;
    };
  },
});
