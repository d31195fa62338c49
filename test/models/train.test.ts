// Every model at a reduced size learns one made-up batch on both native engines.
import * as flow from "onestep";
import { afterEach, describe, expect, test } from "vitest";
import { type CnnName, trainNet } from "../../examples/models/cnns.js";
import { dcganJobs } from "../../examples/models/dcgan-jobs.js";
import { syntheticClicks, syntheticImages } from "../../examples/models/synthetic.js";
import { wideDeepJobs } from "../../examples/models/wide-deep-jobs.js";
import { isReady } from "../engines/ready.js";

afterEach(() => flow.clearDefaultSession());

const constant = (rate: number) => new flow.optimizer.PiecewiseConstantScheduler([], [rate]);

interface Reduced {
  readonly size: number;
  readonly width: number;
  readonly optimizer: () => flow.optimizer.Optimizer;
}
const momentum = (rate: number) => () => new flow.optimizer.SGD(constant(rate));
const adam = (rate: number) => () => new flow.optimizer.Adam(constant(rate), { doBiasCorrection: true });
const reduced: Readonly<Record<CnnName, Reduced>> = {
  alexnet: { size: 67, width: 1 / 8, optimizer: adam(0.003) },
  vgg: { size: 32, width: 1 / 4, optimizer: momentum(0.1) },
  resnet50: { size: 32, width: 1 / 8, optimizer: momentum(0.02) },
  inceptionv3: { size: 75, width: 1 / 8, optimizer: adam(0.003) },
  mobilenetv2: { size: 32, width: 1 / 4, optimizer: adam(0.003) },
};

for (const engine of ["onnx", "tensorflow"])
  describe.skipIf(!isReady(engine))(engine, () => {
    for (const [name, { optimizer, size, width }] of Object.entries(reduced))
      test(`${name} learns a batch of 8 in 15 steps`, async () => {
        flow.config.engine(engine);
        flow.config.seed(3);
        const [batch, classes] = [8, 4];
        const job = trainNet(name as CnnName, { batch, classes, size, width, optimizer: optimizer() });
        await new flow.train.CheckPoint().init();
        const { images, labels } = syntheticImages(batch, size, classes);
        const losses: number[] = [];
        for (let i = 0; i < 15; i++) losses.push((await job(images, labels)).loss.item());
        expect(losses.every(Number.isFinite)).toBe(true);
        expect(mean(losses.slice(-3))).toBeLessThan(0.8 * mean(losses.slice(0, 2)));
      });

    test("Wide & Deep learns a batch of 64 in 20 steps, and its eval job agrees", async () => {
      flow.config.engine(engine);
      flow.config.seed(3);
      const batch = 64;
      const { trainJob, evalJob } = wideDeepJobs({
        batch,
        wideVocabSize: 500,
        deepVocabSize: 1000,
        hiddenUnits: [32, 32],
        learningRate: 0.01,
      });
      await new flow.train.CheckPoint().init();
      const { labels, denseFields, wideSparseFields, deepSparseFields } = syntheticClicks(batch, 500, 1000);
      const rows = [labels, denseFields, wideSparseFields, deepSparseFields] as const;
      const before = await evalJob(...rows);
      expect(before.loss.mean()).toBeCloseTo(Math.log(2), 1);
      for (let i = 0; i < 20; i++) await trainJob(...rows);
      const after = await evalJob(...rows);
      expect(after.loss.mean()).toBeLessThan(0.6 * before.loss.mean());
      for (const [i, p] of Array.from(after.predict.data as Float32Array).entries()) {
        const loss = labels[i] === 1 ? -Math.log(p) : -Math.log(1 - p);
        expect((after.loss.data as Float32Array)[i]).toBeCloseTo(loss, 4);
      }
    });

    test("DCGAN's two jobs train in turns, each its own network and the generator's normalizations", async () => {
      flow.config.engine(engine);
      flow.config.seed(3);
      const batch = 8;
      const { trainGenerator, trainDiscriminator } = dcganJobs({ batch, width: 1 / 8, learningRate: 0.002 });
      const checkPoint = new flow.train.CheckPoint();
      await checkPoint.init();
      const noise = (i: number) => Float32Array.from({ length: batch * 100 }, (_, j) => 2 * Math.sin(j * 12.9898 + i));
      const images = Float32Array.from({ length: batch * 28 * 28 }, (_, i) => ((i >> 2) % 28 < 14 ? 0.9 : -0.9));
      const value = async (name: string) =>
        Float32Array.from((await flow.experimental.getInterfaceBlobValue(name)).data as Float32Array);
      const names = [
        "g_fc1-weight",
        "g_deconv2-weight",
        "g_bn2-gamma",
        "g_bn2-moving_mean",
        "d_conv1-weight",
        "d_fc-weight",
      ];
      const snapshot = async () => new Map(await Promise.all(names.map(async (n) => [n, await value(n)] as const)));
      const changed = (a: Map<string, Float32Array>, b: Map<string, Float32Array>) =>
        names.filter((name) => a.get(name)!.some((x, i) => x !== b.get(name)![i]));

      const start = await snapshot();
      const { dLoss, fake, real } = await trainDiscriminator(noise(0), images);
      expect(dLoss.mean()).toBeCloseTo(fake.mean() + real.mean(), 5);
      expect(dLoss.mean()).toBeCloseTo(2 * Math.log(2), 1);
      const afterD = await snapshot();
      expect(changed(start, afterD)).toEqual(["g_bn2-gamma", "g_bn2-moving_mean", "d_conv1-weight", "d_fc-weight"]);
      await trainGenerator(noise(0));
      expect(changed(afterD, await snapshot())).toEqual(names.slice(0, 4));

      const losses: { readonly d: number; readonly g: number }[] = [];
      for (let i = 1; i < 15; i++) {
        const d = (await trainDiscriminator(noise(i), images)).dLoss.mean();
        const { gLoss, images: made } = await trainGenerator(noise(i));
        expect(made.shape).toEqual([batch, 1, 28, 28]);
        expect((made.data as Float32Array).every((x) => Math.abs(x) <= 1)).toBe(true);
        losses.push({ d, g: gLoss.mean() });
      }
      expect(losses.every(({ d, g }) => Number.isFinite(d) && Number.isFinite(g))).toBe(true);
      // Neither stays where it was, and the discriminator gets better than a coin.
      const range = (values: readonly number[]) => Math.max(...values) - Math.min(...values);
      expect(range(losses.map(({ d }) => d))).toBeGreaterThan(0.05);
      expect(range(losses.map(({ g }) => g))).toBeGreaterThan(0.05);
      expect(Math.min(...losses.map(({ d }) => d))).toBeLessThan(0.95 * 2 * Math.LN2);
    });
  });

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
