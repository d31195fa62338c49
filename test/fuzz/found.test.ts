// Programs that the random ones have found to go wrong, made small.
import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import "../jobs/support.js";

const engines = ["onnx", "reference"] as const;
const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
const weight = () => flow.getVariable("w", { shape: [2], initializer: flow.onesInitializer() });

test.each(engines)("a job that computes nothing can be called (%s)", async (engine) => {
  flow.config.engine(engine);
  const job = flow.globalFunction({ name: "idle", returns: null }, [tp.Numpy.Placeholder([2])], (x) => {
    flow.nn.relu(x);
  });
  expect(await job([1, 2])).toBe(null);
  expect(await job([1, 2])).toBe(null);
});

test.each(engines)("checkNumerics lets training values pass (%s)", async (engine) => {
  flow.config.engine(engine);
  flow.config.checkNumerics(true);
  const job = flow.globalFunction(
    { type: "train", name: "job", returns: [tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([2])],
    (x) => {
      const { learningRate, gradientNorm } = new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(x.mul(weight()));
      return [learningRate, gradientNorm];
    },
  );
  await new flow.train.CheckPoint().init();
  const [learningRate, gradientNorm] = await job([3, 4]);
  expect(learningRate.item()).toBeCloseTo(0.1);
  expect(gradientNorm.item()).toBeCloseTo(2.5);
});
