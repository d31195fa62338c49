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

test.each(engines)("x sigmoid(x) in float64 (%s)", async (engine) => {
  flow.config.engine(engine);
  const job = flow.globalFunction(
    { name: "swish", returns: tp.Numpy },
    [tp.Numpy.Placeholder([2], { dtype: flow.double })],
    (x) => flow.math.sigmoid(x).mul(x),
  );
  for (const [i, value] of ((await job([1, -2])).toArray() as number[]).entries())
    expect(value).toBeCloseTo([1 / (1 + Math.exp(-1)), -2 / (1 + Math.exp(2))][i]!, 14);
});

test.each(engines)("a learning rate that float32 lacks, times a matrix product in float64 (%s)", async (engine) => {
  flow.config.engine(engine);
  const job = flow.globalFunction(
    { name: "scaled", returns: tp.Numpy },
    [tp.Numpy.Placeholder([1, 1], { dtype: flow.double })],
    (x) =>
      flow
        .matmul(x, x)
        .mul(1 / 3)
        .add(x),
  );
  expect((await job([[1]])).item()).toBeCloseTo(4 / 3, 14);
});

test("an initializer or an activation that is none is said so", async () => {
  const { failure } = await import("../jobs/support.js");
  const wrong = (options: object) =>
    failure(async () => {
      const job = flow.globalFunction({ name: "wrong" }, [tp.Numpy.Placeholder([1, 2])], (x) =>
        flow.layers.dense(x, 2, options),
      );
      try {
        await job([[1, 2]]);
      } finally {
        await flow.clearDefaultSession();
      }
    });
  expect((await wrong({ kernelInitializer: "zeros" })).message).toMatch(
    /initializer is the string 'zeros', expected one such/,
  );
  expect((await wrong({ kernelInitializer: flow.zerosInitializer })).code).toBe("E_ARGUMENT");
  expect((await wrong({ activation: "relu" })).message).toMatch(/activation is the string 'relu', expected a function/);
});
