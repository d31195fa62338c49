// Saves many times in one process and prints what it held before and after: resident memory, open files, libuv's resources.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as flow from "../../../dist/index.js";

const [root, saves] = process.argv.slice(2);
flow.globalFunction({ type: "predict", name: "hold", returns: flow.tp.Numpy }, [], () => {
  for (let i = 0; i < 5; i++)
    flow.getVariable(`v${i}`, { shape: [10_000], initializer: flow.randomUniformInitializer(-1, 1) });
  return flow.constant(1, { dtype: flow.float, shape: [1] });
});
const checkPoint = new flow.train.CheckPoint();
await checkPoint.init();
const held = async () => {
  await new Promise((resolve) => setTimeout(resolve, 200));
  globalThis.gc();
  globalThis.gc();
  return {
    rss: process.memoryUsage.rss(),
    files: readdirSync("/proc/self/fd").length,
    resources: process.getActiveResourcesInfo().sort().join(),
  };
};
const save = async (background) => {
  const dir = join(root, "many");
  await checkPoint.save(dir, { background, extras: { background } });
  rmSync(dir, { recursive: true });
};
for (let i = 0; i < Number(saves) / 10; i++) await save(i % 2 === 1);
const before = await held();
for (let i = 0; i < Number(saves); i++) await save(i % 2 === 1);
console.log(JSON.stringify({ before, after: await held() }));
