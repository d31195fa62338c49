import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { batchOf, type Case, weightsOf } from "../cases.js";
import type { Peer } from "./peer.js";

const require = createRequire(new URL("../tfjs/package.json", import.meta.url));
const entry = require.resolve("@jax-js/jax");
// biome-ignore lint/suspicious/noExplicitAny: the benchmark's own packages have no types here
const jax: any = await import(pathToFileURL(entry.replace(/\.cjs$/, ".js")).href);
const { numpy: np, lax, nn } = jax;
// biome-ignore lint/suspicious/noExplicitAny: as above
type Arrays = any;
const { version } = JSON.parse(readFileSync(new URL("../package.json", pathToFileURL(entry)), "utf8")) as {
  version: string;
};

/** jax-js counts references: a function uses up its arguments, `.ref` keeps one for later. */
function logitsOf({ layers, batch }: Case, parameters: Arrays, x: Arrays): Arrays {
  let h = x;
  let next = 0;
  for (const layer of layers) {
    if (layer.kind === "pool") {
      // Its windows do not overlap and divide the image, so that the maximum of each is one over two axes.
      const [n, c, height, width] = h.shape;
      h = np.max(h.reshape([n, c, height / 2, 2, width / 2, 2]), [3, 5]);
      continue;
    }
    const [weight, bias] = [parameters[next++], parameters[next++]];
    if (layer.kind === "conv")
      h = nn.relu(lax.conv(h, weight, [1, 1], "SAME").add(bias.reshape([1, layer.filters, 1, 1])));
    else {
      h = np.matmul(h.reshape([batch, -1]), weight.transpose()).add(bias);
      if (layer.relu) h = nn.relu(h);
    }
  }
  return h;
}

export const peer: Peer = {
  // In Node it has no worker threads, which it wants the browser's Worker for.
  version: `${version} wasm, 1 thread`,
  async open(benchCase) {
    await jax.init("wasm");
    jax.defaultDevice("wasm");
    const { images, labels } = batchOf(benchCase);
    const { input, layers, batch, mode, learningRate } = benchCase;
    const x = np.array(images).reshape([batch, ...input]);
    let parameters = weightsOf(benchCase).map(({ shape, data }) => np.array(data).reshape([...shape]));
    const kept = (): Arrays => parameters.map((parameter) => parameter.ref);
    if (mode === "predict") {
      const predict = jax.jit((ps: Arrays, xs: Arrays) => np.square(logitsOf(benchCase, ps, xs)).sum());
      return async () => (await predict(kept(), x.ref).data())[0];
    }
    const last = layers.at(-1)!;
    const classes = last.kind === "dense" ? last.units : 1;
    const oneHot = nn.oneHot(np.array(labels, { dtype: np.int32 }), classes);
    const update = jax.jit((ps: Arrays, xs: Arrays, targets: Arrays) => {
      const loss = (of: Arrays): Arrays =>
        nn
          .logSoftmax(logitsOf(benchCase, of, xs))
          .mul(targets)
          .sum()
          .mul(-1 / batch);
      const [value, gradients] = jax.valueAndGrad(loss)(ps.map((p: Arrays) => p.ref));
      return [value, ps.map((p: Arrays, i: number) => p.sub(gradients[i].mul(learningRate)))];
    });
    return async () => {
      const [loss, next] = update(parameters, x.ref, oneHot.ref);
      parameters = next;
      return (await loss.data())[0];
    };
  },
};
