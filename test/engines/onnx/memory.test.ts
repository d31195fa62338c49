import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

// A process of its own: what others have allocated would hide what a step needs.
const program = (inPlace: boolean) => `
import * as flow from "onestep";
import { defaultSession } from "#src/job/session.js";
import { peakActivationBytes } from "#src/ops/cost.js";
const { tp } = flow;
flow.config.seed(1);
defaultSession().settings.inPlaceFrom = ${inPlace ? 0 : Infinity};
const job = flow.globalFunction({ type: "train", name: "deep", returns: tp.Numpy }, [tp.Numpy.Placeholder([16384, 128])], (x) => {
  let y = x;
  for (let i = 0; i < 16; i++)
    y = flow.layers.dense(y, 128, { activation: flow.math.tanh, kernelInitializer: flow.randomNormalInitializer(0, 0.05), name: "dense" + i });
  const loss = flow.math.reduceMean(flow.math.square(y));
  new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1]), { momentum: 0.9 }).minimize(loss);
  return loss;
});
await new flow.train.CheckPoint().init();
const x = new Float32Array(16384 * 128).fill(0.1);
const before = process.memoryUsage.rss();
for (let step = 0; step < 3; step++) await job(x);
const { graph } = defaultSession().job("deep").latest.compiled.whole.native;
console.log(JSON.stringify({ rise: process.resourceUsage().maxRSS * 1024 - before, needed: peakActivationBytes(graph) }));
`;

test.each([false, true])("a step takes the memory that its graph needs, once (updates in place: %s)", (inPlace) => {
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const text = execFileSync(process.execPath, ["--input-type=module", "--eval", program(inPlace)], {
    cwd: root,
    encoding: "utf8",
  });
  const { rise, needed } = JSON.parse(text) as { rise: number; needed: number };
  const feed = 16384 * 128 * 4;
  // 17 activations, and three for the gradients that are on their way.
  expect(needed).toBeGreaterThan(16 * feed);
  // Beside it: 1 MB of weights, the copy of the feed, copies in products, the library's own. Twice would be 288 MB.
  expect(rise).toBeLessThan(1.5 * needed);
});
