import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";

// The ten-second proof that all is wired: a model learns, is saved, and predicts the same from the saved files.
test("train, save, load, predict", async () => {
  const points = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i * 7.3) * 2);
  const labels = Int32Array.from({ length: 32 }, (_, i) => (points[2 * i]! * points[2 * i + 1]! > 0 ? 1 : 0));
  const model = (x: flow.Blob): flow.Blob => {
    const kernelInitializer = flow.randomNormalInitializer(0, 0.7);
    const hidden = flow.layers.dense(x, 16, { activation: flow.nn.relu, kernelInitializer, name: "hidden" });
    return flow.layers.dense(hidden, 2, { kernelInitializer, name: "out" });
  };
  const declare = () => ({
    train: flow.globalFunction(
      { type: "train", name: "train", returns: tp.Numpy },
      [tp.Numpy.Placeholder([32, 2]), tp.Numpy.Placeholder([32], { dtype: flow.int32 })],
      (x, l) => {
        const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(l, model(x));
        new flow.optimizer.Adam(new flow.optimizer.PiecewiseConstantScheduler([], [0.02]), {
          doBiasCorrection: true,
        }).minimize(loss);
        return loss;
      },
    ),
    predict: flow.globalFunction({ name: "predict", returns: tp.Numpy }, [tp.Numpy.Placeholder([32, 2])], (x) =>
      flow.nn.softmax(model(x)),
    ),
  });

  flow.config.seed(7);
  const first = declare();
  const checkPoint = new flow.train.CheckPoint();
  await checkPoint.init();
  const losses: number[] = [];
  for (let i = 0; i < 150; i++) losses.push((await first.train(points, labels)).mean());
  expect(losses[0]).toBeGreaterThan(0.4);
  expect(losses.at(-1)).toBeLessThan(0.1);
  const before = await first.predict(points);

  const folder = await mkdtemp(join(tmpdir(), "onestep-tiny-"));
  try {
    await checkPoint.save(join(folder, "model"));
    await flow.clearDefaultSession();
    const second = declare();
    await checkPoint.load(join(folder, "model"));
    expect((await second.predict(points)).data).toEqual(before.data);
  } finally {
    await rm(folder, { recursive: true });
  }
});
