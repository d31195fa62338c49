import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { describe, expect, test } from "vitest";
import { isReady } from "../engines/ready.js";
import { failure, scratch } from "./support.js";

// Results whose size depends on values are cut to what counts where they leave a job.
const engines = ["onnx", "reference", ...(isReady("tensorflow") ? ["tensorflow"] : [])];
const x23 = [tp.Numpy.Placeholder([2, 3])] as const;
const some = [
  [0, 5, 0],
  [6, 0, 7],
];
const none = [
  [0, 0, 0],
  [0, 0, 0],
];

describe.each(engines)("%s:", (engine) => {
  test("rows, columns, what is gathered, and nothing at all", async () => {
    flow.config.engine(engine);
    const job = flow.globalFunction({ name: "places" }, x23, (x) => {
      const places = flow.argwhere(x, { name: "places" });
      expect(places.shape).toEqual([6, 2]);
      return {
        places,
        columns: flow.nonzero(x),
        values: flow.gatherNd(x, places),
        rows: flow.gather(x, flow.gather(flow.nonzero(x), flow.constant(0, { dtype: flow.int32 }))),
        wide: flow.cast(places, flow.int64).add(1),
        flat: flow.dynamicReshape(places, [-1]),
        count: flow.elemCnt(places),
        sum: flow.math.reduceSum(flow.gatherNd(x, places)),
        whole: x,
      };
    });
    const arrays = async (feed: number[][]): Promise<unknown> =>
      Object.fromEntries(Object.entries(await job(feed)).map(([key, array]) => [key, [array.shape, array.toArray()]]));
    expect(await arrays(some)).toEqual({
      places: [
        [3, 2],
        [
          [0, 1],
          [1, 0],
          [1, 2],
        ],
      ],
      columns: [
        [2, 3],
        [
          [0, 1, 1],
          [1, 0, 2],
        ],
      ],
      values: [[3], [5, 6, 7]],
      // What counts of the columns of nonzero counts of the rows that they pick too.
      rows: [
        [1, 3, 3],
        [
          [
            [0, 5, 0],
            [6, 0, 7],
            [6, 0, 7],
          ],
        ],
      ],
      wide: [
        [3, 2],
        [
          [1, 2],
          [2, 1],
          [2, 3],
        ],
      ],
      flat: [[6], [0, 1, 1, 0, 1, 2]],
      count: [[1], [6]],
      sum: [[1], [18]],
      whole: [[2, 3], some],
    });
    expect(await arrays(none)).toMatchObject({
      places: [[0, 2], []],
      columns: [
        [2, 0],
        [[], []],
      ],
      values: [[0], []],
      flat: [[0], []],
      count: [[1], [0]],
      sum: [[1], [0]],
    });
    const full = await arrays([
      [1, 1, 1],
      [1, 1, 1],
    ]);
    expect(full).toMatchObject({ values: [[6], [1, 1, 1, 1, 1, 1]], count: [[1], [12]] });
  });

  test("unique values in the order of their appearance", async () => {
    flow.config.engine(engine);
    const job = flow.globalFunction({ name: "unique" }, [tp.Numpy.Placeholder([6], { dtype: flow.int64 })], (x) =>
      flow.experimental.uniqueWithCounts(x, { name: "u" }),
    );
    const large = 2 ** 53;
    const feed = engine === "reference" ? [9, 2, 9, 9, 2, 1] : [large + 2, 2, large + 2, large + 2, 2, large];
    const [y, idx, count, numUnique] = await job(BigInt64Array.from(feed, BigInt));
    expect([...y.data].map(Number)).toEqual([feed[0], 2, feed[5]]);
    expect([idx, count, numUnique].map((array) => array.toArray())).toEqual([[0, 1, 0, 0, 1, 2], [3, 2, 1], [3]]);
  });
});

test("lists, bundles, watched values and batches of any size are cut too", async () => {
  const seen: unknown[] = [];
  const job = flow.globalFunction(
    { name: "forms", returns: { list: tp.ListNumpy, lists: tp.ListListNumpy, all: tp.Bundle(tp.Numpy) } },
    [tp.Numpy.Placeholder([null], { dtype: flow.int8 })],
    (x) => {
      const places = flow.where(x);
      flow.watch(places, (value) => seen.push(value.toArray()));
      flow.watch(x.greater(0), (value) => seen.push(value.toArray()));
      return { list: places, lists: places, all: [x, { places }] };
    },
  );
  const { list, lists, all } = await job([0, 1, 2]);
  expect([list[0].toArray(), lists[0][0].toArray()]).toEqual([
    [[1], [2]],
    [[1], [2]],
  ]);
  expect([all[0].toArray(), all[1].places.toArray()]).toEqual([
    [0, 1, 2],
    [[1], [2]],
  ]);
  expect(seen).toEqual([
    [[1], [2]],
    [0, 1, 1],
  ]);
  expect((await job([3])).list[0].toArray()).toEqual([[0]]);
  expect(seen.slice(2)).toEqual([[[0]], [1]]);
});

test("training on the rows that a mask picks: padding gives nothing to the loss and the gradient", async () => {
  const job = flow.globalFunction(
    { type: "train", name: "train_job", returns: tp.Numpy },
    [tp.Numpy.Placeholder([4], { dtype: flow.int32 })],
    (mask) => {
      const w = flow.getVariable("w", { shape: [4, 2], initializer: flow.onesInitializer() });
      const picked = flow.gatherNd(w, flow.argwhere(mask));
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [1]), { momentum: 0 }).minimize(
        flow.math.reduceSum(picked),
      );
      return picked;
    },
  );
  await new flow.train.CheckPoint().init();
  expect((await job([0, 1, 0, 1])).toArray()).toEqual([
    [1, 1],
    [1, 1],
  ]);
  expect((await flow.experimental.getInterfaceBlobValue("w")).toArray()).toEqual([
    [1, 1],
    [0, 0],
    [1, 1],
    [0, 0],
  ]);
});

test("an index outside fails the step, and names the axis", async () => {
  const job = flow.globalFunction(
    { name: "outside" },
    [tp.Numpy.Placeholder([2, 3]), tp.Numpy.Placeholder([1, 2], { dtype: flow.int32 })],
    (x, places) => [
      flow.gatherNd(x, places, { name: "pick" }),
      flow.scatterNd(places, flow.gatherNd(x, places), [2, 3]),
    ],
  );
  expect((await failure(() => job(some, [[1, 3]]))).message).toBe(
    "gatherNd 'pick': index of axis 1 3 is outside [0, 2]; the step was not made and no variable changed [E_INDEX]",
  );
  expect((await failure(() => job(some, [[-1, 0]]))).message).toContain("index of axis 0 -1 is outside [0, 1]");
  expect((await job(some, [[1, 2]]))[0].toArray()).toEqual([7]);
});

test("a count follows its axis through what leaves the axis whole", async () => {
  const x = [tp.Numpy.Placeholder([2, 3])] as const;
  const job = flow.globalFunction({ name: "followed" }, x, (x) => {
    const [places, columns] = [flow.argwhere(x), flow.nonzero(x)];
    return [
      flow.slice(places, [0, 1], [-1, 1]),
      flow.transpose(flow.identity(columns), { perm: [1, 0] }),
      flow.concat([places, places], { axis: 1 }),
      flow.math.reduceSum(places, { axis: 1 }),
      flow.math.reduceMax(columns, { axis: 0, keepdims: true }),
      flow.where(places.greater(0), places, -1),
    ];
  });
  expect((await job(some)).map((array) => array.toArray())).toEqual([
    [[1], [0], [2]],
    [
      [0, 1],
      [1, 0],
      [1, 2],
    ],
    [
      [0, 1, 0, 1],
      [1, 0, 1, 0],
      [1, 2, 1, 2],
    ],
    [1, 1, 3],
    [[1, 1, 2]],
    [
      [-1, 1],
      [1, -1],
      [1, 2],
    ],
  ]);
});

test("elementwise results of different counts, and other ops', are whole", async () => {
  const job = flow.globalFunction({ name: "whole" }, [tp.Numpy.Placeholder([3])], (x) => [
    flow.argwhere(x).add(flow.argwhere(x.sub(1))),
    flow.reshape(flow.argwhere(x), [3]),
    flow.slice(flow.argwhere(x), [1, 0], [2, 1]),
    flow.argwhere(x).add(flow.constant(1, { dtype: flow.int32, shape: [2, 3, 1] })),
  ]);
  expect((await job([0, 1, 2])).map((array) => array.shape)).toEqual([[3, 1], [3], [2, 1], [2, 2, 1]]);
});

test("a model of a fixed shape cannot hold such a result", async () => {
  const job = flow.globalFunction({ name: "exported" }, x23, (x) => flow.argwhere(x));
  const error = await failure(() => flow.onnx.export(job, join(scratch(), "model.onnx")));
  expect([error.code, error.message]).toEqual(["E_UNSUPPORTED", expect.stringContaining("depends on values")]);
});
