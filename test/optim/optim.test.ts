import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import "../jobs/support.js";

const { optimizer } = flow;
const rate = (value: number) => new optimizer.PiecewiseConstantScheduler([], [value]);

/** Variables after each of `steps` steps on `loss = sum(w * x)`, whose gradient is x, by name. */
async function steps(
  make: () => flow.optimizer.Optimizer,
  count: number,
  {
    x = [1, -2],
    w = [3, 4],
    regularizer,
  }: { x?: number[]; w?: number[]; regularizer?: flow.regularizers.Regularizer } = {},
  read: readonly string[] = ["w"],
): Promise<number[][]> {
  const shape = [w.length];
  const settings = {
    shape,
    initializer: flow.constantInitializer(0),
    ...(regularizer === undefined ? {} : { regularizer }),
  };
  const job = flow.globalFunction(
    { type: "train", name: "job", returns: tp.Numpy },
    [tp.Numpy.Placeholder(shape), tp.Numpy.Placeholder(shape)],
    (input, start) => {
      const loss = flow.math.reduceSum(flow.getVariable("w", settings).add(start).mul(input));
      make().minimize(loss);
      return loss;
    },
  );
  await new flow.train.CheckPoint().init();
  const probe = flow.globalFunction({ name: "probe" }, () =>
    read.map((name) =>
      flow.getVariable(name, {
        shape: name.includes("beta") || name.startsWith("System") ? [1] : shape,
        dtype: name.startsWith("System") ? "int64" : "float32",
        initializer: flow.constantInitializer(
          name.includes("beta1") ? 0.9 : name.includes("beta2") ? 0.999 : 0,
          name.startsWith("System") ? { dtype: "int64" } : {},
        ),
        ...(name === "w" && regularizer !== undefined ? { regularizer } : {}),
      }),
    ),
  );
  const result: number[][] = [];
  for (let i = 0; i < count; i++) {
    await job(x, w);
    result.push(((await probe()) as readonly flow.NdArray[]).flatMap((value) => value.toArray() as number[]));
  }
  return result;
}
const near = (got: readonly number[], expected: readonly number[]): void => {
  expect(got.length).toBe(expected.length);
  for (const [i, value] of got.entries())
    expect(Math.abs(value - expected[i]!)).toBeLessThan(3e-6 * Math.max(1, Math.abs(expected[i]!)));
};

test("plain SGD: w - lr g, and the step counts calls", async () => {
  const [first, second] = await steps(() => new optimizer.SGD(rate(0.1), { momentum: 0 }), 2, {}, [
    "w",
    "System-Train-TrainStep-job",
  ]);
  near(first!, [-0.1, 0.2, 1]);
  near(second!, [-0.2, 0.4, 2]);
});

test("momentum 0.9 by default: v = 0.9 v - lr g, w + v", async () => {
  const [first, second] = await steps(() => new optimizer.SGD(rate(0.1)), 2, {}, ["w", "w-momentum"]);
  near(first!, [-0.1, 0.2, -0.1, 0.2]);
  near(second!, [-0.1 - 0.19, 0.2 + 0.38, -0.19, 0.38]);
});

test("Adam without correction by default: m / (sqrt(v) + eps)", async () => {
  const [first] = await steps(() => new optimizer.Adam(rate(0.1)), 1, {}, ["w", "w-m", "w-v"]);
  near(first!, [-0.1 * (0.1 / Math.sqrt(0.001)), 0.1 * (0.2 / Math.sqrt(0.004)), 0.1, -0.2, 0.001, 0.004]);
});

test("Adam with correction: its scalars start at the betas and are multiplied after the step", async () => {
  const [first, second] = await steps(() => new optimizer.Adam(rate(0.1), { doBiasCorrection: true }), 2, {}, [
    "w",
    "w-beta1_t",
    "w-beta2_t",
  ]);
  near(first!, [-0.1, 0.1, 0.81, 0.998001]);
  near(second!, [-0.2, 0.2, 0.729, 0.999 ** 3]);
});

test("boundaries are inclusive: values[i] while step <= boundaries[i]", async () => {
  const seen = await steps(
    () => new optimizer.SGD(new optimizer.PiecewiseConstantScheduler([1, 2], [1, 0.5, 0.25]), { momentum: 0 }),
    4,
    { x: [1], w: [0] },
  );
  near(seen.flat(), [-1, -2, -2.5, -2.75]);
});

test("regularizers add l1 sign(w) + l2 w, with sign 0 at 0", async () => {
  const [first, second] = await steps(() => new optimizer.SGD(rate(1), { momentum: 0 }), 2, {
    x: [1, 0],
    w: [0, 0],
    regularizer: flow.regularizers.l1L2(0.25, 0.5),
  });
  near(first!, [-1, 0]);
  near(second!, [-1 - (1 - 0.25 - 0.5), 0]);
});

test("clipping by global norm: unchanged below, scaled above; zero gradients stay zero", async () => {
  const clip = (norm: number) => () =>
    new optimizer.SGD(rate(1), { momentum: 0, gradClipping: optimizer.gradClipping.byGlobalNorm(norm) });
  near((await steps(clip(10), 1, { x: [3, 4] }))[0]!, [-3, -4]);
  await flow.clearDefaultSession();
  near((await steps(clip(1), 1, { x: [3, 4] }))[0]!, [-0.6, -0.8]);
  await flow.clearDefaultSession();
  near((await steps(clip(1), 1, { x: [0, 0] }))[0]!, [0, 0]);
});

test("lossScaleFactor changes nothing in float32 but rounding", async () => {
  near((await steps(() => new optimizer.SGD(rate(0.1), { momentum: 0, lossScaleFactor: 128 }), 1))[0]!, [-0.1, 0.2]);
});

test("wrong settings", () => {
  expect(() => new optimizer.SGD(rate(1), { momentum: 1 })).toThrow(/momentum is 1, expected 0 <= momentum < 1/);
  expect(() => new optimizer.SGD(rate(1), { lossScaleFactor: 0.5 })).toThrow(/lossScaleFactor is 0.5/);
  expect(() => new optimizer.Adam(rate(1), { beta1: 1 })).toThrow(/beta1 is 1/);
  expect(() => optimizer.gradClipping.byGlobalNorm(0)).toThrow(/clipNorm is 0/);
  expect(() => flow.regularizers.l2(-1)).toThrow(/got -1/);
  expect(() => new optimizer.PiecewiseConstantScheduler([3, 2], [1, 2, 3])).toThrow(/must be rising/);
});
