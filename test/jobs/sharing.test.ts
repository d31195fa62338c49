import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { failure, tinyImages, tinyJob, tinyLabels, tinyModel } from "./support.js";

const checkPoint = new flow.train.CheckPoint();
const { getInterfaceBlobValue, setInterfaceBlobValue } = flow.experimental;
const counter = (name = "counter"): flow.Blob =>
  flow.getVariable(name, { shape: [2], initializer: flow.onesInitializer(), trainable: false });

test("experimental.getInterfaceBlobValue and setInterfaceBlobValue read and write variables by name", async () => {
  const job = tinyJob();
  expect((await failure(() => getInterfaceBlobValue("dense1-weight"))).code).toBe("E_UNINITIALIZED");
  await checkPoint.init();
  const before = await getInterfaceBlobValue("dense1-weight");
  expect([before.shape, before.dtype]).toEqual([[8, 4], "float32"]);
  const value = new Float32Array(32).fill(0.5);
  const written = setInterfaceBlobValue("dense1-weight", value);
  value.fill(9); // copied at the call
  await written;
  expect((await getInterfaceBlobValue("dense1-weight")).data).toEqual(new Float32Array(32).fill(0.5));
  await job(tinyImages, tinyLabels);
  expect((await getInterfaceBlobValue("dense1-weight")).data).not.toEqual(new Float32Array(32).fill(0.5));
  await setInterfaceBlobValue("dense1-weight", before);
  expect((await getInterfaceBlobValue("dense1-weight")).data).toEqual(before.data);
  expect((await getInterfaceBlobValue("System-Train-TrainStep-train_job")).item()).toBe(1);

  const cases: readonly [() => unknown, string, string][] = [
    [() => getInterfaceBlobValue("dense1-wieght"), "E_VARIABLE", "did you mean 'dense1-weight'?"],
    [() => setInterfaceBlobValue("dense1-weight", new Float32Array(31)), "E_SHAPE", "variable 'dense1-weight': got 31"],
    [
      () => setInterfaceBlobValue("dense1-weight", new Float64Array(32)),
      "E_DTYPE",
      "got float64, expected float32[8,4]",
    ],
  ];
  for (const [wrong, code, message] of cases) {
    const error = await failure(wrong);
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(error.stack).toContain("sharing.test.ts");
  }
  expect((await getInterfaceBlobValue("dense1-weight")).data).toEqual(before.data);
});

test("assign: reads see the value before the call, a second assign continues from the first", async () => {
  const job = flow.globalFunction({ name: "count", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) => {
    const c = counter();
    flow.assign(c, c.add(x));
    flow.assign(c, c.mul(2));
    return c;
  });
  await checkPoint.init();
  expect((await job([1, 2])).toArray()).toEqual([1, 1]);
  expect((await job([0, 0])).toArray()).toEqual([4, 6]);
  expect((await getInterfaceBlobValue("counter")).toArray()).toEqual([8, 12]);
});

test("assign: wrong uses", async () => {
  const message = async (fn: (x: flow.Blob) => unknown, type: "train" | "predict" = "predict") => {
    const job = flow.globalFunction({ type, name: "wrong" }, [tp.Numpy.Placeholder([2])], (x) => {
      fn(x);
      return x;
    });
    const error = await failure(() => job([1, 2]));
    await flow.clearDefaultSession();
    return `${error.code} ${error.message}`;
  };
  expect(await message((x) => flow.assign(x.add(1), x))).toMatch(/E_VARIABLE assign: ref is the result of add 'add_0'/);
  expect(
    await message((x) => flow.assign(counter(), x.add(flow.constant(1, { dtype: flow.float, shape: [3, 2] })))),
  ).toContain("E_SHAPE assign: 'counter' is float32[2], the value is float32[3,2]");
  expect(await message((x) => flow.assign(counter(), flow.cast(x, flow.double)))).toContain("E_DTYPE assign");
  expect(
    await message((x) => {
      const w = flow.getVariable("w", { shape: [2], initializer: flow.onesInitializer() });
      flow.assign(w, x);
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [1])).minimize(w.mul(x));
    }, "train"),
  ).toContain("E_UPDATE SGD.minimize: 'w' is assigned in job 'wrong' and trained there too");
  expect((await failure(() => flow.assign(null as never, null as never))).code).toBe("E_OUTSIDE_JOB");
});

test("jobs of different batch sizes share variables; eval sees the last update, saves in between change nothing", async () => {
  const train = tinyJob({ momentum: 0.9 });
  const evaluate = flow.globalFunction({ name: "evaluate", returns: tp.Numpy }, [tp.Numpy.Placeholder([2, 4])], (x) =>
    tinyModel(x),
  );
  await checkPoint.init();
  const results: number[] = [];
  for (let i = 0; i < 3; i++) {
    await train(tinyImages, tinyLabels);
    results.push((await evaluate(tinyImages.slice(0, 2))).sum());
  }
  expect(new Set(results).size).toBe(3);
  const alone = flow.globalFunction({ name: "alone", returns: tp.Numpy }, [tp.Numpy.Placeholder([8, 4])], (x) =>
    tinyModel(x),
  );
  const [first, second] = (await alone(tinyImages)).toArray() as number[][];
  expect((await evaluate(tinyImages.slice(0, 2))).toArray()).toEqual([first, second]);
});

test("getVariable's errors name both call sites", async () => {
  flow.globalFunction({ name: "a" }, () => counter());
  flow.globalFunction({ name: "b" }, () =>
    flow.getVariable("counter", { shape: [2], initializer: flow.zerosInitializer(), trainable: false }),
  );
  const error = await failure(() => checkPoint.init());
  expect(error.code).toBe("E_VARIABLE");
  expect(error.message.match(/sharing\.test\.ts:\d+:\d+/g)).toHaveLength(2);
  expect(error.message).toContain("'counter' has initializer");
});

test("a failed declaration leaves nothing behind: the next, right one works", async () => {
  const wrong = flow.globalFunction({ name: "job" }, () => {
    counter("left");
    throw new Error("in the job");
  });
  await expect(wrong()).rejects.toThrow("in the job");
  const right = flow.globalFunction({ name: "job", returns: tp.Numpy }, () => counter("right"));
  await checkPoint.init();
  expect((await right()).toArray()).toEqual([1, 1]);
  expect((await failure(() => getInterfaceBlobValue("left"))).message).toContain("there are right");
});
