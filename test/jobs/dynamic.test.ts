import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { failure, tinyImages, tinyModel } from "./support.js";

const checkPoint = new flow.train.CheckPoint();

test("a null first dimension: the last, smaller batch and a single image need no second program", async () => {
  let traces = 0;
  const job = flow.globalFunction({ name: "predict", returns: tp.Numpy }, [tp.Numpy.Placeholder([null, 4])], (x) => {
    traces++;
    return flow.nn.softmax(tinyModel(x));
  });
  const fixed = flow.globalFunction({ name: "fixed", returns: tp.Numpy }, [tp.Numpy.Placeholder([8, 4])], (x) =>
    flow.nn.softmax(tinyModel(x)),
  );
  await checkPoint.init();
  const whole = await fixed(tinyImages);
  for (const size of [8, 3, 1, 8, 3]) {
    const part = await job(tinyImages.slice(0, size));
    expect(part.shape).toEqual([size, 2]);
    part.data.forEach((value, i) => {
      expect(value).toBeCloseTo(Number(whole.data[i]), 6);
    });
  }
  // A trace to find the variables, and one for each of the three sizes.
  expect(traces).toBe(4);
  // A typed array has no shape: its length decides.
  expect((await job(Float32Array.from(tinyImages.slice(0, 2).flat()))).shape).toEqual([2, 2]);
});

test("a dynamic train job: each shape trains the same variables, with one step counter", async () => {
  const job = flow.globalFunction(
    { type: "train", name: "train_job", returns: tp.Numpy },
    [tp.Numpy.Placeholder([null, 2]), tp.Numpy.Placeholder([null, 1])],
    (x, y) => {
      const w = flow.getVariable("w", { shape: [2, 1], initializer: flow.zerosInitializer() });
      const loss = flow.math.square(flow.matmul(x, w).sub(y));
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.5]), { momentum: 0 }).minimize(loss);
      return loss;
    },
  );
  await checkPoint.init();
  // Mean of 1 row: dw = 2 (xw - y) x.
  await job([[1, 0]], [[1]]);
  expect((await flow.experimental.getInterfaceBlobValue("w")).toArray()).toEqual([[1], [0]]);
  // Mean of 2 rows: each counts half.
  await job(
    [
      [0, 1],
      [0, 1],
    ],
    [[1], [3]],
  );
  expect((await flow.experimental.getInterfaceBlobValue("w")).toArray()).toEqual([[1], [2]]);
  expect(await job.step()).toBe(2);
});

test("at most 8 shapes are kept; the one used least recently goes and can come back", async () => {
  const traced: number[] = [];
  const job = flow.globalFunction({ name: "sizes", returns: tp.Numpy }, [tp.Numpy.Placeholder([null])], (x) => {
    traced.push(x.shape[0]!);
    return x.add(1);
  });
  const call = (size: number) => job(new Float32Array(size));
  for (let size = 1; size <= 8; size++) await call(size);
  await call(1);
  await call(9); // drops 2, as 1 was used again
  await call(1);
  const before = traced.length;
  await call(2);
  expect(traced.slice(before)).toEqual([2]);
  expect((await call(9)).shape).toEqual([9]);
  expect(traced.length).toBe(before + 1);
});

test("tp.ListNumpy takes arrays of its rank up to its number of elements", async () => {
  const job = flow.globalFunction(
    { name: "mirrored", returns: tp.ListNumpy },
    [tp.ListNumpy.Placeholder([4, 3])],
    (x) => flow.math.reduceSum(x, { axis: 1 }),
  );
  const [sums] = await job([
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
  ]);
  expect(sums.toArray()).toEqual([6, 15]);
  expect((await job([new flow.NdArray(new Float32Array(12).fill(1), [3, 4])]))[0].toArray()).toEqual([4, 4, 4]);
  const wrong: readonly [unknown, string][] = [
    [[[1, 2, 3]], "got the shape [3], expected float32[4,3] or fewer elements of rank 2"],
    [[new flow.NdArray(new Float32Array(15), [5, 3])], "got float32[5,3], expected float32[4,3] or fewer"],
    [[[[1]], [[2]]], "got a list of 2, expected a list of 1 array, one per device"],
    [new Float32Array(12), "expected a list of 1 array, one per device (float32[4,3]); write [x]"],
  ];
  for (const [feed, message] of wrong) expect((await failure(() => job(feed as never))).message).toContain(message);
});

test("what a dynamic placeholder refuses", async () => {
  const job = flow.globalFunction({ name: "open", returns: tp.Numpy }, [tp.Numpy.Placeholder([null, 4])], (x) => x);
  const message = async (feed: unknown) => (await failure(() => job(feed as never))).message;
  expect(await message(new Float32Array(7))).toContain("got 7 elements, expected float32[?,4]: a multiple of 4");
  expect(await message([])).toContain("got the shape [0], expected float32[?,4]");
  expect(await message([[1, 2, 3]])).toContain("got the shape [1,3], expected float32[?,4]");
  expect(await message([[1, 2, 3, 4], [1]])).toContain("argument 0[1]");
  expect((await failure(() => tp.Numpy.Placeholder([2, null] as never))).message).toContain(
    "dimension 1 of [2,null] is null; only the first may be left open",
  );
});

test("a variable whose shape hangs on the batch is an error that names both shapes", async () => {
  const job = flow.globalFunction({ name: "bad", returns: tp.Numpy }, [tp.Numpy.Placeholder([null, 1])], (x) =>
    x.mul(flow.getVariable("v", { shape: [x.shape[0]!, 1], initializer: flow.onesInitializer() })),
  );
  await checkPoint.init();
  const error = await failure(() => job([[1], [2], [3]]));
  expect(error.code).toBe("E_VARIABLE");
  expect(error.message).toMatch(/'v' has shape \[3,1\] in job 'bad'.*but \[2,1\] where it was made first/);
});
