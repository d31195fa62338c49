import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";
import { batchOf, weightsOf } from "../cases.js";
import { serve } from "./serve.js";

const require = createRequire(new URL("../package.json", import.meta.url));
const load = async (name: string): Promise<Record<string, never>> => (await import(require.resolve(name))) as Record<string, never>;
const backend = process.argv[2]!;
// The benchmark's own packages have no types here: they are installed by npm run bench only.
// biome-ignore lint/suspicious/noExplicitAny: as above
const tf: any = await load("@tensorflow/tfjs-core");
// biome-ignore lint/suspicious/noExplicitAny: as above
const wasm: any = await load(`@tensorflow/tfjs-backend-${backend}`);

await serve({
  version: `4.22.0 ${backend}`,
  async open(benchCase, threads) {
    if (backend === "wasm") {
      wasm.setWasmPaths(`${dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json"))}${sep}${join("wasm-out")}${sep}`);
      wasm.setThreadsCount(threads);
    }
    await tf.setBackend(backend);
    await tf.ready();
    const { images, labels } = batchOf(benchCase);
    const x = tf.tensor2d(images, [benchCase.batch, benchCase.widths[0]]);
    const oneHot = tf.oneHot(tf.tensor1d(labels, "int32"), benchCase.widths.at(-1)).toFloat();
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
