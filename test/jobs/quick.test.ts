import * as flow from "onestep";
import { tp } from "onestep";
import { beforeEach, expect, test } from "vitest";
import { openRuntime } from "#src/engines/onnx/session/runtime.js";
import { defaultSession } from "#src/job/session.js";
import { failure, tinyImages, tinyJob, tinyLabels } from "./support.js";

// The other engines make no call at once, nor does onnxruntime's own binding.
beforeEach(() => flow.config.engine("onnx"));
const { kind } = await openRuntime();
const atOnceTest = test.skipIf(kind !== "c-api");

/** Makes steps until the next call is made at once; it must be made before the event loop is due. */
async function untilQuick(name: string, step: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    await step();
    if (defaultSession().quick(name) !== undefined) return;
  }
  throw new Error(`job '${name}' never was quick`);
}

test("calls made at once give the bits of calls that wait, and results stay what they were", async () => {
  const losses = async (options?: flow.CallOptions): Promise<number[][]> => {
    await flow.clearDefaultSession();
    flow.config.seed(7);
    const job = tinyJob({ momentum: 0.9 });
    await new flow.train.CheckPoint().init();
    const results: flow.NdArray[] = [];
    // A call with a signal always waits for its turn.
    for (let i = 0; i < 60; i++) results.push(await (options ? job.with(options) : job)(tinyImages, tinyLabels));
    return results.map(({ data }) => [...(data as Float32Array)]);
  };
  const atOnce = await losses();
  expect(await losses({ signal: new AbortController().signal })).toEqual(atOnce);
  expect(new Set(atOnce.map(String)).size).toBe(60);
});

atOnceTest("a call made at once: its feeds are checked, and a step that fails changes nothing", async () => {
  const job = tinyJob();
  await new flow.train.CheckPoint().init();
  let made = 0;
  const learn = async () => {
    made++;
    await job(tinyImages, tinyLabels);
  };
  await untilQuick("train_job", learn);
  const error = await failure(async () => await job(tinyImages, [0, 1, 2, 0, 0, 0, 0, 0]));
  expect(error.code).toBe("E_LABEL");
  expect(error.message).toContain("label 2 is outside [0, 1]");
  expect(error.stack).toContain("quick.test.ts");
  expect(error.stack).not.toMatch(/dist\/(job|engines)/);
  expect(await job.step()).toBe(made);
  await untilQuick("train_job", learn);
  const wrong = failure(() => (job as (...feeds: unknown[]) => Promise<unknown>)(tinyImages));
  expect((await wrong).message).toContain("job 'train_job': got 1 arguments, expected 2");
  expect((await failure(() => job([1], tinyLabels))).message).toContain("job 'train_job', argument 0");
});

atOnceTest("results of any size are fresh, and calls keep the order of those that wait", async () => {
  const wide = flow.globalFunction(
    { name: "wide", returns: [tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([1])],
    (x) => [x.add(1), flow.broadcastLike(x, flow.constant(0, { dtype: flow.float, shape: [5000] }))],
  );
  await untilQuick("wide", () => wide([0]));
  const results = [];
  const order: number[] = [];
  for (let i = 0; i < 20; i++) {
    const call = i % 3 === 1 ? wide.with({ signal: new AbortController().signal })([i]) : wide([i]);
    results.push(call.finally(() => order.push(i)));
  }
  for (const [i, [small, large]] of (await Promise.all(results)).entries()) {
    expect(small.item()).toBe(i + 1);
    expect(large.data).toEqual(new Float32Array(5000).fill(i));
  }
  expect(order).toEqual(order.toSorted((a, b) => a - b));
});

atOnceTest("a checkpoint call between two calls is made between them", async () => {
  const job = tinyJob();
  const checkPoint = new flow.train.CheckPoint();
  flow.config.seed(3);
  await checkPoint.init();
  const first = (await job(tinyImages, tinyLabels)).data;
  await untilQuick("train_job", () => job(tinyImages, tinyLabels));
  const again = checkPoint.init();
  const behind = job(tinyImages, tinyLabels);
  await again;
  expect((await behind).data).toEqual(first);
});
