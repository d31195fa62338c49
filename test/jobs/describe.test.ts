import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { failure } from "./support.js";

function mlp(dtype: flow.DType = "float32", prefix = "dense") {
  return flow.globalFunction(
    { type: "train", name: "train_job", returns: tp.Numpy },
    [tp.Numpy.Placeholder([100, 784], { dtype }), tp.Numpy.Placeholder([100], { dtype: flow.int32 })],
    (x, labels) => {
      const hidden = flow.layers.dense(x, 512, { activation: flow.nn.relu, name: `${prefix}1` });
      const logits = flow.layers.dense(hidden, 10, { name: `${prefix}2` });
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits);
      const adam = new flow.optimizer.Adam(new flow.optimizer.PiecewiseConstantScheduler([], [0.001]));
      adam.minimize(loss, { freeze: `${prefix}2-bias` });
      return loss;
    },
  );
}

test("describe counts parameters, arithmetic and memory before the first step, without values", async () => {
  const description = await flow.describe(mlp());
  expect(
    description.variables.map(({ name, shape, parameters, trained }) => [name, shape, parameters, trained]),
  ).toEqual([
    ["dense1-bias", [512], 512, true],
    ["dense1-weight", [512, 784], 401408, true],
    ["dense2-bias", [10], 10, false],
    ["dense2-weight", [10, 512], 5120, true],
  ]);
  expect(description.parameters).toEqual({ total: 407050, trained: 407040 });
  // 2 B in out for each product.
  expect(description.variables[1]!.flop).toBe(2 * 100 * 784 * 512);
  const forward = 2 * 100 * (784 * 512 + 512 * 10);
  expect(description.flop.forward).toBeGreaterThan(forward);
  expect(description.flop.forward).toBeLessThan(1.01 * forward);
  // Two products for each of the second layer, one for the first: no gradient of the images.
  const step = forward + 2 * 100 * (784 * 512 + 2 * 512 * 10);
  expect(description.flop.call).toBeGreaterThan(step);
  // Adam and the averages touch each parameter a dozen times.
  expect(description.flop.call).toBeLessThan(step + 20 * 407050 + 1e6);
  const { memory } = description;
  expect(memory.variables).toBe(4 * 407050);
  expect(memory.optimizer).toBe(2 * 4 * 407040 + 8);
  expect(memory.spare).toBe(3 * 4 * 407040 + 8);
  expect(memory.feeds).toBe(4 * 100 * 784 + 4 * 100);
  expect(memory.activations).toBeGreaterThan(4 * 100 * 512);
  expect(memory.total).toBe(memory.variables + memory.optimizer + memory.spare + memory.activations + memory.feeds);
});

test("it prints in 80 columns, with long names shortened", async () => {
  const description = await flow.describe(
    mlp("float64", "a-very-long-name-of-a-tower-that-has-many-parts-and-levels-"),
  );
  const text = String(description);
  expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
  expect(text).toMatch(/a-very-long-name.*….*1-weight {2}float64\[512,784\] +401,408 +80\.3 M {2}yes/);
  expect(text).toContain("407,050 parameters, 407,040 trained");
});

test("the table of a small job, whole", async () => {
  const job = flow.globalFunction({ name: "predict", returns: tp.Numpy }, [tp.Numpy.Placeholder([null, 4])], (x) =>
    flow.layers.dense(x, 3, { name: "dense" }),
  );
  expect(String(await flow.describe(job))).toBe(`predict job 'predict' (float32[?,4])

variable      shape  parameters  FLOP
------------  -----  ----------  ----
dense-bias    [3]             3     6
dense-weight  [3,4]          12    48

15 parameters
FLOP of a call: 54
memory: 140 B = variables 60 B + optimizer 0 B + spare 0 B
  + activations 48 B + feeds 32 B`);
  expect((await failure(() => flow.describe((() => 1) as never))).message).toContain(
    "expected a job as flow.globalFunction",
  );
});
