import { join } from "node:path";
import * as flow from "onestep";
import { expect, test } from "vitest";
import { scratch, tinyImages, tinyJob, tinyLabels } from "./support.js";

const checkPoint = new flow.train.CheckPoint();

/** Losses of `steps` steps with dropout and momentum, from a fresh session. */
async function losses(
  seed: number | undefined,
  steps: number,
  engine = process.env.ONESTEP_ENGINE ?? "onnx",
): Promise<number[]> {
  await flow.clearDefaultSession();
  flow.config.engine(engine);
  if (seed !== undefined) flow.config.seed(seed);
  const job = tinyJob({ dropout: 0.5, momentum: 0.9, learningRate: 0.05 });
  await checkPoint.init();
  const result: number[] = [];
  for (let i = 0; i < steps; i++) result.push(...Array.from((await job(tinyImages, tinyLabels)).data as Float32Array));
  return result;
}

test("one seed: the same bits; another seed, or none: not", async () => {
  const first = await losses(11, 20);
  expect(await losses(11, 20)).toEqual(first);
  expect(await losses(12, 20)).not.toEqual(first);
  expect(await losses(undefined, 20)).not.toEqual(await losses(undefined, 20));
});

test("both engines see the same initial values and masks", async () => {
  const onnx = await losses(11, 12, "onnx");
  const reference = await losses(11, 12, "reference");
  for (const [i, value] of onnx.entries())
    expect(Math.abs(value - reference[i]!)).toBeLessThan(1e-4 * Math.max(1, Math.abs(value)));
});

/** The mask of dropout on ones, as a job returns it. */
const maskJob = () =>
  flow.globalFunction({ type: "train", name: "masks" }, () => {
    const w = flow.getVariable("w", { shape: [64], initializer: flow.onesInitializer() });
    const dropped = flow.nn.dropout(w, 0.25, { name: "drop" });
    new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0]), { momentum: 0 }).minimize(dropped);
    return dropped;
  });

test("masks are equal on both engines, differ from call to call, and continue after a resume", async () => {
  const masks: number[][][] = [];
  const path = join(scratch(), "saved");
  for (const engine of ["onnx", "reference"]) {
    await flow.clearDefaultSession();
    flow.config.engine(engine);
    flow.config.seed(3);
    const job = maskJob();
    await checkPoint.init();
    const seen: number[][] = [];
    for (let i = 0; i < 6; i++) {
      if (i === 3 && engine === "onnx") await checkPoint.save(path);
      seen.push(Array.from((await job()).data as Float32Array, (v) => Math.round(v * 1000)));
    }
    masks.push(seen);
  }
  expect(masks[0]).toEqual(masks[1]);
  expect(new Set(masks[0]!.map(String)).size).toBe(6);
  expect(new Set(masks[0]!.flat())).toEqual(new Set([0, 1333]));

  await flow.clearDefaultSession();
  const job = maskJob();
  await checkPoint.load(path);
  for (let i = 3; i < 6; i++)
    expect(Array.from((await job()).data as Float32Array, (v) => Math.round(v * 1000))).toEqual(masks[0]![i]);
});

test("a run saved and loaded continues with the bits of one that never stopped", async () => {
  const whole = await losses(21, 12);
  await losses(21, 6);
  const path = join(scratch(), "half");
  await checkPoint.save(path);
  await flow.clearDefaultSession();
  const job = tinyJob({ dropout: 0.5, momentum: 0.9, learningRate: 0.05 });
  await checkPoint.load(path);
  const rest: number[] = [];
  for (let i = 0; i < 6; i++) rest.push(...Array.from((await job(tinyImages, tinyLabels)).data as Float32Array));
  expect(rest).toEqual(whole.slice(48));
});

test("dropout: identity in predict jobs and at rate 0", async () => {
  const job = flow.globalFunction(
    { name: "predict", returns: flow.tp.Numpy },
    [flow.tp.Numpy.Placeholder([4])],
    (x) => {
      expect(flow.nn.dropout(x, 0.5)).toBe(x);
      return x;
    },
  );
  expect((await job([1, 2, 3, 4])).toArray()).toEqual([1, 2, 3, 4]);
});
