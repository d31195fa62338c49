import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { isReady } from "../engines/ready.js";
import { failure, scratch } from "../jobs/support.js";

const engines = ["onnx", "reference", ...(isReady("tensorflow") ? ["tensorflow"] : [])];
const checkPoint = new flow.train.CheckPoint();
const list = (array: flow.NdArray): number[] => Array.from(array.data, Number);
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

/** A job of every function that draws. */
const drawing = () =>
  flow.globalFunction({ name: "draws" }, [tp.Numpy.Placeholder([64, 3])], (x) => {
    const half = flow.math.sigmoid(x);
    return {
      bernoulli: flow.random.bernoulli(half, { name: "coins" }),
      mask: flow.nn.randomMaskLike(x, 0.25, { name: "mask" }),
      shuffled: flow.random.shuffle(x, { name: "shuffle" }),
      order: flow.random.generateRandomBatchPermutationIndices(x, { name: "order" }),
      batch: flow.data.decodeRandom([5], flow.float, { batchSize: 4, name: "batch" }),
      labels: flow.data.decodeRandom([1], flow.int32, {
        batchSize: 30,
        initializer: flow.randomUniformInitializer(1, 3, { dtype: flow.int32 }),
        name: "labels",
      }),
    };
  });
const feed = Array.from({ length: 64 }, (_, i) => [i, -i, 100 * i]);
type Draws = Awaited<ReturnType<ReturnType<typeof drawing>>>;
const bits = (draws: Draws): number[][] => Object.values(draws).map(list);

test("every engine draws the same, calls differ, and a resumed run goes on", async () => {
  const seen: number[][][][] = [];
  const path = join(scratch(), "saved");
  for (const engine of engines) {
    await flow.clearDefaultSession();
    flow.config.engine(engine);
    flow.config.seed(4);
    const job = drawing();
    const calls: number[][][] = [];
    for (let call = 0; call < 3; call++) {
      calls.push(bits(await job(feed)));
      if (call === 0 && engine === "onnx") {
        await checkPoint.init();
        await checkPoint.save(path);
      }
    }
    seen.push(calls);
  }
  for (const calls of seen.slice(1)) expect(calls).toEqual(seen[0]);
  const names = ["bernoulli", "mask", "shuffled", "order", "batch", "labels"];
  for (const [i, name] of names.entries()) expect(seen[0]![0]![i], name).not.toEqual(seen[0]![1]![i]);
  await flow.clearDefaultSession();
  const job = drawing();
  await checkPoint.load(path);
  expect(bits(await job(feed))).toEqual(seen[0]![1]);
});

test("orders are permutations and shuffle follows one", async () => {
  const { shuffled, order } = await drawing()(feed);
  expect(sorted(list(order))).toEqual(feed.map((_, i) => i));
  const rows = shuffled.toArray() as number[][];
  expect(rows).not.toEqual(feed);
  expect(rows.map(([first]) => feed[first!])).toEqual(rows);
  expect(sorted(rows.map(([first]) => first!))).toEqual(feed.map((_, i) => i));
});

test("every order of three is as likely as another: chi-square of 6000 draws", async () => {
  const job = flow.globalFunction({ name: "orders" }, () =>
    Array.from({ length: 200 }, () =>
      flow.random.generateRandomBatchPermutationIndices(flow.constant(0, { dtype: flow.float, shape: [3] })),
    ),
  );
  flow.config.engine("reference");
  flow.config.seed(1);
  const counts = new Map<string, number>();
  for (let call = 0; call < 30; call++)
    for (const order of await job()) counts.set(String(list(order)), (counts.get(String(list(order))) ?? 0) + 1);
  expect(counts.size).toBe(6);
  const square = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  expect(square).toBeLessThan(20.5); // 99.9 % of 5 degrees of freedom
});

test("bernoulli follows its probabilities, also 0 and 1, in any dtype", async () => {
  const p = [0, 1, 0.125, 0.5, 0.9];
  const job = flow.globalFunction({ name: "coins" }, [tp.Numpy.Placeholder([5])], (x) => {
    const wide = flow.broadcastTo(x, [20000, 5]);
    return [flow.random.bernoulli(wide), flow.random.bernoulli(flow.cast(wide, flow.double), { dtype: flow.int8 })];
  });
  flow.config.seed(2);
  const [plain, small] = await job(p);
  expect([plain!.dtype, small!.dtype]).toEqual(["float32", "int8"]);
  for (const draws of [plain!, small!])
    for (const [i, q] of p.entries()) {
      const column = list(draws).filter((_, n) => n % 5 === i);
      expect(column.every((v) => v === 0 || v === 1)).toBe(true);
      // Five standard deviations.
      expect(Math.abs(mean(column) - q)).toBeLessThanOrEqual(5 * Math.sqrt((q * (1 - q)) / 20000));
    }
  const message = (await failure(() => job([0, 1, 0.5, 1.5, 0]))).message;
  expect(message).toContain("random.bernoulli: probability 1.5 is outside [0, 1]");
  expect(message).toContain("[E_ARGUMENT]");
});

test("decodeRandom: uniform by default, else by the initializer; masks are int8 at their rate", async () => {
  const job = flow.globalFunction({ name: "numbers" }, () => ({
    uniform: flow.data.decodeRandom([10, 100], flow.float, { batchSize: 10 }),
    wide: flow.data.decodeRandom([100], flow.double, {
      batchSize: 100,
      initializer: flow.randomNormalInitializer(2, 3),
    }),
    bits: flow.data.decodeRandom([1000], flow.int64),
    single: flow.data.decodeRandom([], flow.uint8, { batchSize: 3, initializer: flow.constantInitializer(7) }),
    mask: flow.nn.randomMaskLike(flow.constant(1, { dtype: flow.float, shape: [10000] }), 0.25),
  }));
  flow.config.seed(6);
  const { uniform, wide, bits, single, mask } = await job();
  expect([uniform.shape, wide.dtype, bits.shape, single.shape, mask.dtype]).toEqual([
    [10, 10, 100],
    "float64",
    [1, 1000],
    [3],
    "int8",
  ]);
  expect(list(single)).toEqual([7, 7, 7]);
  expect(list(uniform).every((u) => u >= 0 && u <= 1)).toBe(true);
  expect(Math.abs(uniform.mean() - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / 10000));
  expect(Math.abs(wide.mean() - 2)).toBeLessThan((5 * 3) / 100);
  expect(Math.abs(mean(list(wide).map((v) => (v - 2) ** 2)) - 9)).toBeLessThan(5 * 9 * Math.sqrt(2 / 10000));
  expect(new Set(list(bits))).toEqual(new Set([0, 1]));
  expect(Math.abs(mask.mean() - 0.75)).toBeLessThan(5 * Math.sqrt(0.1875 / 10000));
});

test("a seed of its own: the same in other sessions, jobs and names, another from call to call", async () => {
  const job = (name: string, seed: number) =>
    flow.globalFunction({ type: "train", name }, [tp.Numpy.Placeholder([50])], (x) => {
      const w = flow.getVariable("w", { shape: [50], initializer: flow.onesInitializer() });
      const dropped = flow.nn.dropout(w, 0.5, { seed, name: `${name}-drop` });
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0]), { momentum: 0 }).minimize(dropped);
      return [
        dropped,
        flow.random.shuffle(x, { seed }),
        flow.nn.randomMaskLike(x, 0.5, { seed }),
        flow.random.bernoulli(flow.math.sigmoid(x), { seed }),
        flow.data.decodeRandom([4], flow.float, { seed }),
        flow.random.generateRandomBatchPermutationIndices(x, { seed }),
      ];
    });
  const results: number[][][] = [];
  const x = Array.from({ length: 50 }, (_, i) => i / 50);
  for (const [session, name, seed] of [
    [1, "a", 7],
    [2, "b", 7],
    [2, "b", 8],
  ] as const) {
    await flow.clearDefaultSession();
    flow.config.seed(session);
    const made = job(name, seed);
    await checkPoint.init();
    for (let call = 0; call < 2; call++) results.push((await made(x)).map(list));
  }
  expect(results[2]).toEqual(results[0]);
  expect(results[3]).toEqual(results[1]);
  for (const i of results[0]!.keys())
    for (const other of [1, 4]) expect(results[other]![i], `${i} ${other}`).not.toEqual(results[0]![i]);
});

test("shuffle's gradient goes back to the row", async () => {
  const job = flow.globalFunction({ name: "back" }, [tp.Numpy.Placeholder([6])], (x) => {
    const shuffled = flow.random.shuffle(x);
    const weights = flow
      .constant(0, { dtype: flow.float, shape: [6] })
      .add(flow.cast(flow.argsort(shuffled), "float32"));
    return [shuffled, weights, flow.gradients(shuffled.mul(weights), x)];
  });
  const [shuffled, weights, gradient] = await job([0, 1, 2, 3, 4, 5]);
  const expected = Array<number>(6).fill(0);
  for (const [i, from] of list(shuffled!).entries()) expected[from] = list(weights!)[i]!;
  expect(list(gradient!)).toEqual(expected);
});

test("genSeed: the given one, else one by the session's seed, none in a mirrored view", async () => {
  expect(flow.random.genSeed(5)).toEqual([5, true]);
  const drawn = async (): Promise<unknown[]> => {
    await flow.clearDefaultSession();
    flow.config.seed(3);
    const seeds: unknown[] = [];
    const job = flow.globalFunction({ name: "seeds" }, () => {
      seeds.push(flow.random.genSeed(), flow.random.genSeed(), flow.random.genSeed(1));
      flow.scope.mirroredView(() => seeds.push(flow.random.genSeed()));
    });
    await job();
    return seeds;
  };
  const seeds = (await drawn()) as [number, boolean][];
  expect(await drawn()).toEqual(seeds);
  expect(seeds.map(([, has]) => has)).toEqual([true, true, true, false]);
  expect(seeds[0]![0]).not.toBe(seeds[1]![0]);
  expect(seeds.slice(2)).toEqual([
    [1, true],
    [-1, false],
  ]);
  expect(Number.isSafeInteger(seeds[0]![0])).toBe(true);
  expect((await failure(() => flow.random.genSeed(1.5))).message).toBe(
    "random.genSeed: seed is the number 1.5, expected an integer [E_ARGUMENT]",
  );
});

test("wrong seeds and rates say what is expected", async () => {
  const message = async (fn: (x: flow.Blob) => unknown): Promise<string> =>
    (
      await failure(() =>
        flow.globalFunction({ name: "wrong" }, [tp.Numpy.Placeholder([2])], (x) => fn(x) as flow.Blob)([1, 2]),
      )
    ).message;
  expect(await message((x) => flow.random.shuffle(x, { seed: 0.5 }))).toContain(
    "random.shuffle: seed is 0.5, expected an integer",
  );
  expect(await message((x) => flow.nn.randomMaskLike(x, 1))).toContain(
    "randomMaskLike: rate is 1, expected 0 <= rate < 1",
  );
  expect(await message(() => flow.data.decodeRandom([0], "float32"))).toContain(
    "data.decodeRandom: batchSize is 1 and shape [0], expected positive integers",
  );
  expect(
    await message(() => flow.data.decodeRandom([2], "int32", { initializer: flow.randomNormalInitializer() })),
  ).toContain("data.decodeRandom: a normal initializer of floats cannot fill a int32 variable");
});
