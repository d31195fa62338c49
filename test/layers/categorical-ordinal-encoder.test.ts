import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { describe, expect, test } from "vitest";
import { Rng, streamOf } from "#src/core/rng.js";
import { isReady } from "../engines/ready.js";
import { failure, scratch } from "../jobs/support.js";

const engines = ["onnx", "reference", ...(isReady("tensorflow") ? ["tensorflow"] : [])];
const checkPoint = new flow.train.CheckPoint();
const value = async (name: string): Promise<unknown> => (await flow.experimental.getInterfaceBlobValue(name)).toArray();
const encoder = (dtype: "int32" | "int64", shape: number[], capacity: number) =>
  flow.globalFunction({ name: "encode", returns: tp.Numpy }, [tp.Numpy.Placeholder(shape, { dtype })], (hashes) =>
    flow.layers.categoricalOrdinalEncoder(hashes, capacity, { name: "Words" }),
  );

describe.each(engines.flatMap((engine) => (["int32", "int64"] as const).map((dtype) => [engine, dtype] as const)))(
  "%s %s:",
  (engine, dtype) => {
    test("numbers in the order of first appearance, as a map gives them", async () => {
      flow.config.engine(engine);
      const job = encoder(dtype, [3, 4], 16);
      await checkPoint.init();
      const rng = new Rng(streamOf(5, dtype));
      const hashOf = (word: number): number => (word === 0 ? 0 : ((word * 2654435761) % 2 ** 31) | 0 || 7);
      const numbers = new Map<number, number>();
      for (let step = 0; step < 5; step++) {
        const hashes = Array.from({ length: 12 }, () => hashOf(rng.integer(17)));
        const expected = hashes.map((hash) => {
          if (hash === 0) return 0;
          if (!numbers.has(hash)) numbers.set(hash, numbers.size + 1);
          return numbers.get(hash);
        });
        const rows = [0, 1, 2].map((row) => hashes.slice(4 * row, 4 * row + 4));
        const result = await job(rows);
        expect([result.dtype, result.shape]).toEqual([dtype, [3, 4]]);
        expect(result.toArray().flat()).toEqual(expected);
      }
      expect(await value("Words-Size")).toEqual([numbers.size]);
      const table = [...numbers].flat();
      expect(await value("Words-Table")).toEqual([...table, ...Array<number>(32 - table.length).fill(0)]);
    });

    test("a full table fails the step and changes nothing; what it knows goes on", async () => {
      flow.config.engine(engine);
      const job = encoder(dtype, [3], 4);
      await checkPoint.init();
      await job([50, -7, 50]);
      expect((await failure(() => job([1, 2, 3]))).message).toBe(
        "categoricalOrdinalEncode 'Words-Encode': the table's capacity is too small, give a larger one: number of hashes 5 is outside [0, 4]; the step was not made and no variable changed [E_INDEX]",
      );
      expect((await job([1, 2, -7])).toArray()).toEqual([3, 4, 2]);
      expect(await value("Words-Table")).toEqual([50, 1, -7, 2, 1, 3, 2, 4]);
    });
  },
);

test("hashes of 64 bits are told apart", async () => {
  const job = encoder("int64", [4], 3);
  await checkPoint.init();
  const hashes = BigInt64Array.of(2n ** 62n, 2n ** 62n + 1n, -(2n ** 63n), 2n ** 62n);
  expect((await job(hashes)).toArray()).toEqual([1, 2, 3, 1]);
});

test("two uses of one table in a job go on from each other; other jobs share it", async () => {
  const zeros = {
    dtype: flow.int32,
    initializer: flow.zerosInitializer({ dtype: flow.int32 }),
    trainable: false,
  } as const;
  const encode = (hashes: flow.Blob): flow.Blob =>
    flow.categoricalOrdinalEncode(
      flow.getVariable("table", { shape: [12], ...zeros }),
      flow.getVariable("size", { shape: [1], ...zeros }),
      hashes,
    );
  const words = tp.Numpy.Placeholder([3], { dtype: flow.int32 });
  const both = flow.globalFunction({ name: "both" }, [words, words], (a, b) => [encode(a), encode(b)]);
  const one = flow.globalFunction({ name: "one" }, [words], encode);
  await checkPoint.init();
  const [a, b] = await both([5, 6, 5], [7, 6, 0]);
  expect([a.toArray(), b.toArray()]).toEqual([
    [1, 2, 1],
    [3, 2, 0],
  ]);
  expect((await one([6, 8, 7])).toArray()).toEqual([2, 4, 3]);
  expect(await value("size")).toEqual([4]);
});

test("the table is saved and goes on; one whose pairs stand elsewhere, as OneFlow puts them, is read", async () => {
  const path = join(scratch(), "saved");
  await (async () => {
    const job = encoder("int32", [2], 4);
    await checkPoint.init();
    await job([9, 6]);
    await checkPoint.save(path);
  })();
  await flow.clearDefaultSession();
  const job = encoder("int32", [2], 4);
  await checkPoint.load(path);
  expect((await job([6, 4])).toArray()).toEqual([2, 3]);
  // By hash modulo 4: 9 in place 1, 6 in place 2.
  await flow.experimental.setInterfaceBlobValue("Words-Table", [0, 0, 9, 1, 6, 2, 0, 0]);
  await flow.experimental.setInterfaceBlobValue("Words-Size", [2]);
  expect((await job([4, 9])).toArray()).toEqual([3, 1]);
  expect(await value("Words-Table")).toEqual([4, 3, 9, 1, 6, 2, 0, 0]);
});
