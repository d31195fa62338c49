import { readdirSync } from "node:fs";
import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { isReady } from "../engines/ready.js";
import { scratch } from "../jobs/support.js";

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

test("RMSProp: g / sqrt(s + epsilon), centered with the mean taken out", async () => {
  const [plain] = await steps(() => new optimizer.RMSProp(rate(0.1)), 1, {}, ["w", "w-mean_square"]);
  near(plain!, [-1, 1, 0.01, 0.04]);
  await flow.clearDefaultSession();
  const centered = () => new optimizer.RMSProp(rate(0.1), { decayRate: 0.75, centered: true, epsilon: 0 });
  const [first] = await steps(centered, 1, {}, ["w", "w-mean_square", "w-mean_gradient"]);
  // s = g² / 4, a = g / 4: the variance is 3 g² / 16.
  near(first!, [-0.4 / Math.sqrt(3), 0.4 / Math.sqrt(3), 0.25, 1, 0.25, -0.5]);
});

test("centered RMSProp with a gradient that never changes stays finite where rounding takes the variance below 0", async () => {
  const make = () => new optimizer.RMSProp(rate(1e-6), { decayRate: 0.1, centered: true });
  const seen = await steps(make, 40, { x: [0.1, 0.3], w: [0, 0] });
  expect(seen.flat().every(Number.isFinite)).toBe(true);
});

test("LARS leaves a variable of zeros where it is; LAMB moves it as Adam does", async () => {
  near((await steps(() => new optimizer.LARS(rate(1)), 1, {}, ["w", "w-momentum"]))[0]!, [0, 0, 0, 0]);
  await flow.clearDefaultSession();
  const [first] = await steps(() => new optimizer.LAMB(rate(0.1), { epsilon: 0 }), 1, {}, ["w", "w-m", "w-v"]);
  near(first!, [-0.01 / Math.sqrt(0.001), 0.01 / Math.sqrt(0.001), 0.1, -0.2, 0.001, 0.004]);
});

test("LazyAdam corrects always, and is Adam where no table is listed", async () => {
  const [first] = await steps(() => new optimizer.LazyAdam(rate(0.1)), 1, {}, ["w", "w-m", "w-beta1_t", "w-beta2_t"]);
  near(first!, [-0.1, 0.1, 0.1, -0.2, 0.81, 0.998001]);
});

test("the rate of a CustomScheduler and the step of trainStepLbn are blobs of the job", async () => {
  const job = flow.globalFunction(
    { type: "train", name: "job", returns: [tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([1], { dtype: flow.int64 })],
    (given) => {
      flow.identity(given, { name: "given" });
      const w = flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() });
      const schedule = new optimizer.PiecewiseConstantScheduler([9], [1, 0.5]);
      const { learningRate } = new optimizer.SGD(schedule, { momentum: 0, trainStepLbn: "given/out" }).minimize(w);
      return [w, learningRate];
    },
  );
  const folder = scratch();
  await new flow.train.CheckPoint().init();
  expect((await job([9]))[1].toArray()).toEqual([1]);
  expect((await job([10])).map((value) => value.toArray())).toEqual([[-1], [0.5]]);
  await new flow.train.CheckPoint().save(`${folder}/model`);
  expect(readdirSync(`${folder}/model`).filter((name) => name.startsWith("System"))).toEqual([]);
  await expect(job.step()).rejects.toThrow(/the step of job 'job' is its blob 'given\/out' \(trainStepLbn\)/);
  expect(await job.learningRate(10)).toBe(0.5);
});

test("names of blobs that are wrong or of the wrong kind", async () => {
  const rejects = async (make: () => flow.optimizer.Optimizer, message: string): Promise<void> => {
    const job = flow.globalFunction({ type: "train", name: "job" }, () => {
      flow.constant(1, { dtype: flow.int32, shape: [2], name: "numbers" });
      make().minimize(flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() }));
      return null;
    });
    await expect(job()).rejects.toThrow(message);
    await flow.clearDefaultSession();
  };
  const custom = (lbn: string) => () => new optimizer.SGD(new optimizer.CustomScheduler(lbn));
  await rejects(custom("number/out"), "job 'job' has no blob 'number/out' here; did you mean 'numbers/out'?");
  await rejects(custom("numbers/out"), "'numbers/out' is int32[2], expected a floating blob of one element");
  const step = () => new optimizer.SGD(rate(1), { trainStepLbn: "numbers/out" });
  await rejects(step, "SGD: trainStepLbn 'numbers/out' is int32[2], expected int64[1]");
});

test("a custom rate is known only while a step runs", async () => {
  const job = flow.globalFunction({ type: "train", name: "job" }, [tp.Numpy.Placeholder([1])], (value) => {
    const schedule = new optimizer.CustomScheduler(value.logicalBlobName);
    new optimizer.SGD(schedule).minimize(flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() }));
    return null;
  });
  await expect(job.learningRate(0)).rejects.toThrow(/known only while a step runs/);
});

for (const engine of ["onnx", "tensorflow", "reference"])
  test.skipIf(!isReady(engine))(`slots go on to the bit after a load into a new session: ${engine}`, async () => {
    const rate = () => new optimizer.CosineScheduler(0.1, 5, { alpha: 0.1, warmup: optimizer.warmup.linear(2, 0.5) });
    const makers: readonly (() => flow.optimizer.Optimizer)[] = [
      () => new optimizer.SGD(rate()),
      () => new optimizer.SGDW(rate(), { weightDecay: 0.1 }),
      () => new optimizer.Adam(rate(), { doBiasCorrection: true }),
      () => new optimizer.AdamW(rate(), { weightDecay: 0.1 }),
      () => new optimizer.LazyAdam(rate()),
      () => new optimizer.RMSProp(rate(), { centered: true }),
      () => new optimizer.LARS(rate(), { larsCoefficient: 0.1 }),
      () => new optimizer.LAMB(rate(), { doBiasCorrection: true }),
    ];
    const jobs = () => {
      flow.config.engine(engine);
      flow.config.seed(7);
      return makers.map((make, i) =>
        flow.globalFunction({ type: "train", name: `job${i}`, returns: tp.Numpy }, [tp.Numpy.Placeholder([3])], (x) => {
          const w = flow.getVariable(`w${i}`, { shape: [3], initializer: flow.randomNormalInitializer() });
          make().minimize(flow.math.square(w.sub(x)));
          return w;
        }),
      );
    };
    const run = async (all: ReturnType<typeof jobs>, from: number, to: number): Promise<number[][]> => {
      const seen: number[][] = [];
      for (let t = from; t < to; t++)
        for (const job of all) seen.push((await job([Math.sin(t), 1, -t])).toArray() as number[]);
      return seen;
    };
    const path = `${scratch()}/model`;
    const first = jobs();
    await new flow.train.CheckPoint().init();
    await run(first, 0, 3);
    await new flow.train.CheckPoint().save(path);
    const whole = await run(first, 3, 6);
    await flow.clearDefaultSession();
    const second = jobs();
    await new flow.train.CheckPoint().load(path, { strict: true });
    expect(await run(second, 3, 6)).toEqual(whole);
  });

test("wrong settings", () => {
  expect(() => new optimizer.RMSProp(rate(1), { decayRate: 1 })).toThrow(/decayRate is 1, expected 0 <= decayRate < 1/);
  expect(() => new optimizer.RMSProp(rate(1), { centered: 1 as never })).toThrow(/centered is the number 1/);
  expect(() => new optimizer.LARS(rate(1), { epsilon: -1 })).toThrow(/epsilon is the number -1, expected at least 0/);
  expect(() => new optimizer.AdamW(rate(1), { weightDecay: -1 })).toThrow(/weightDecay is the number -1/);
  expect(() => new optimizer.AdamW(rate(1), { weightDecayIncludes: "a", weightDecayExcludes: "b" })).toThrow(
    /got weightDecayIncludes and weightDecayExcludes, expected at most one/,
  );
  expect(() => new optimizer.AdamW(rate(1), { weightDecayExcludes: ["(", "bias"] })).toThrow(
    /'\(', which is no regular/,
  );
  expect(() => new optimizer.AdamW(rate(1), { weightDecayExcludes: [""] })).toThrow(/holds an empty string/);
  expect(() => new optimizer.SGD(rate(1), { gradClipping: { clipNorm: 1 } as never })).toThrow(
    /gradClipping is an object/,
  );
  expect(() => new optimizer.SGD(rate(1), { trainStepLbn: 3 as never })).toThrow(/trainStepLbn is the number 3/);
  expect(() => optimizer.warmup.constant(3, 1)).toThrow(/multiplier is the number 1, expected 0 < multiplier < 1/);
  expect(() => optimizer.warmup.linear(-1, 0)).toThrow(/steps is the number -1/);
  expect(() => optimizer.warmup.linear(1, 1)).toThrow(/startMultiplier is the number 1, expected 0 <= startM/);
  expect(() => new optimizer.CosineScheduler(0.1, 0)).toThrow(/steps is the number 0, expected a number of steps/);
  expect(() => new optimizer.CosineScheduler(0.1, 5, { warmup: {} as never })).toThrow(/warmup is an object, expected/);
  expect(() => new optimizer.CosineScheduler(0.1, 5, { alhpa: 1 } as never)).toThrow(/did you mean 'alpha'/);
  expect(() => new optimizer.CosineScheduler(Number.NaN, 5)).toThrow(/baseLr is the number NaN/);
  expect(() => new optimizer.PolynomialSchduler(1, 5, { power: -1 })).toThrow(/power is the number -1/);
  expect(() => new optimizer.PolynomialSchduler(1, 5, { cycle: "no" as never })).toThrow(/cycle is the string 'no'/);
  expect(() => new optimizer.PiecewiseScalingScheduler(1, [1, 2], [1])).toThrow(
    /got boundaries \[1,2\] and scales \[1\]/,
  );
  expect(() => new optimizer.ExponentialScheduler(1, 5, -1)).toThrow(/decayRate is -1, expected at least 0/);
  expect(new optimizer.PolynomialScheduler(1, 5)).toBeInstanceOf(optimizer.PolynomialSchduler);
  expect(() => new optimizer.SGD(rate(1), { momentum: 1 })).toThrow(/momentum is 1, expected 0 <= momentum < 1/);
  expect(() => new optimizer.SGD(rate(1), { lossScaleFactor: 0.5 })).toThrow(/lossScaleFactor is 0.5/);
  expect(() => new optimizer.Adam(rate(1), { beta1: 1 })).toThrow(/beta1 is 1/);
  expect(() => optimizer.gradClipping.byGlobalNorm(0)).toThrow(/clipNorm is 0/);
  expect(() => flow.regularizers.l2(-1)).toThrow(/got -1/);
  expect(() => new optimizer.PiecewiseConstantScheduler([3, 2], [1, 2, 3])).toThrow(/must be rising/);
});
