import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import * as flow from "onestep";
import { expect, test } from "vitest";
import { failure } from "../jobs/support.js";

const { data } = flow;
type Options = Parameters<typeof data.batches>[1];

/** The three kinds of source over the numbers 0 ... length - 1, each element of a batch as a number. */
const kinds = {
  arrays: (length: number, options: Options) =>
    data.batches(
      Int32Array.from({ length }, (_, i) => i),
      options,
    ),
  indexed: (length: number, options: Options) =>
    data.batches({ length, get: async (i: number) => Int32Array.of(i) }, options),
  stream: (length: number, options: Options) =>
    data.batches(function* () {
      for (let i = 0; i < length; i++) yield Int32Array.of(i);
    }, options),
} as const;
type Kind = keyof typeof kinds;

const numbers = (batch: flow.NdArray<"int32">): number[] => Array.from(batch.data);

async function collect(source: AsyncIterable<flow.NdArray<"int32">>): Promise<number[][]> {
  const all: number[][] = [];
  for await (const batch of source) all.push(numbers(batch));
  return all;
}

const upTo = (length: number): number[] => Array.from({ length }, (_, i) => i);
const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

const arbitrary = fc.record({
  kind: fc.constantFrom<Kind>("arrays", "indexed", "stream"),
  length: fc.integer({ min: 1, max: 60 }),
  batchSize: fc.integer({ min: 1, max: 9 }),
  shuffle: fc.boolean(),
  shuffleBuffer: fc.integer({ min: 1, max: 30 }),
  seed: fc.nat(),
  prefetch: fc.integer({ min: 0, max: 4 }),
});
type Drawn = typeof arbitrary extends fc.Arbitrary<infer T> ? T : never;

const optionsOf = ({ kind, batchSize, shuffle, shuffleBuffer, seed, prefetch }: Drawn): Options => ({
  batchSize,
  shuffle,
  seed,
  prefetch,
  name: null,
  ...(kind === "stream" && shuffle ? { shuffleBuffer } : {}),
});

test("every element once in each epoch, epochs in different orders", async () => {
  await fc.assert(
    fc.asyncProperty(arbitrary, async (drawn) => {
      const source = kinds[drawn.kind](drawn.length, { ...optionsOf(drawn), lastBatch: "keep" });
      const epochs = [await collect(source), await collect(source)];
      for (const epoch of epochs) {
        expect(sorted(epoch.flat())).toEqual(upTo(drawn.length));
        expect(epoch.slice(0, -1).every((batch) => batch.length === drawn.batchSize)).toBe(true);
      }
      expect(source.epoch).toBe(2);
      if (!drawn.shuffle) expect(epochs[0]!.flat()).toEqual(upTo(drawn.length));
    }),
    { numRuns: 120 },
  );
  const shuffled = kinds.arrays(50, { batchSize: 50, shuffle: true, seed: 1, name: null });
  const [first] = await collect(shuffled);
  const [second] = await collect(shuffled);
  expect(first).not.toEqual(second);
  expect(first).not.toEqual(upTo(50));
});

test("shards are disjoint and complete; with drop and pad they are equally long", async () => {
  await fc.assert(
    fc.asyncProperty(
      arbitrary,
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom<"keep" | "drop" | "pad">("keep", "drop", "pad"),
      async (drawn, count, lastBatch) => {
        const { length, batchSize } = drawn;
        // Each shard has a whole batch at least.
        fc.pre(length >= count * batchSize);
        const shards: number[][][] = [];
        const valid: number[] = [];
        for (let index = 0; index < count; index++) {
          const source = kinds[drawn.kind](length, { ...optionsOf(drawn), lastBatch, shard: { index, count } });
          const batches: number[][] = [];
          for await (const batch of source) {
            batches.push(numbers(batch));
            valid.push(...numbers(batch).slice(0, source.validRows));
          }
          shards.push(batches);
        }
        const all = shards.flat(2);
        if (lastBatch === "keep") expect(sorted(all)).toEqual(upTo(length));
        else {
          expect(new Set(shards.map((batches) => batches.length)).size).toBe(1);
          expect(shards.flat().every((batch) => batch.length === batchSize)).toBe(true);
        }
        if (lastBatch === "drop") expect(new Set(all).size).toBe(all.length);
        if (lastBatch === "pad") expect(sorted(valid)).toEqual(upTo(length));
      },
    ),
    { numRuns: 150 },
  );
});

test("state and restore at every offset give the identical continuation, also through JSON, prefetch and shuffle buffer", async () => {
  await fc.assert(
    fc.asyncProperty(arbitrary, fc.constantFrom<"keep" | "pad">("keep", "pad"), async (drawn, lastBatch) => {
      const options = { ...optionsOf(drawn), lastBatch, epochs: 2 };
      const whole = await collect(kinds[drawn.kind](drawn.length, options));
      for (let stop = 0; stop <= whole.length; stop++) {
        const first = kinds[drawn.kind](drawn.length, options);
        const seen: number[][] = [];
        let state = first.state();
        if (stop > 0)
          for await (const batch of first) {
            seen.push(numbers(batch));
            state = first.state();
            if (seen.length === stop) break;
          }
        const resumed = kinds[drawn.kind](drawn.length, { ...options, prefetch: (drawn.prefetch + 1) % 4 });
        resumed.restore(JSON.parse(JSON.stringify(state)));
        expect([...seen, ...(await collect(resumed))]).toEqual(whole);
        // The first one goes on where its loop was left.
        if (stop > 0 && stop < whole.length) expect([...seen, ...(await collect(first))]).toEqual(whole);
      }
    }),
    { numRuns: 40 },
  );
});

test("a restore within a loop goes on from the restored place", async () => {
  for (const kind of ["arrays", "indexed", "stream"] as const) {
    const source = kinds[kind](12, {
      batchSize: 2,
      lastBatch: "keep",
      shuffle: true,
      seed: 4,
      prefetch: 3,
      name: null,
    });
    const seen: number[][] = [];
    const start = source.state();
    for await (const batch of source) {
      seen.push(numbers(batch));
      if (seen.length === 4) source.restore(start);
    }
    expect(seen.slice(4)).toEqual([...seen.slice(0, 4), ...seen.slice(8)]);
    expect(seen.length).toBe(10);
  }
});

test("the position counts what was handed out, not what was prepared", async () => {
  let read = 0;
  const source = data.batches(
    {
      length: 100,
      get: (i) => {
        read++;
        return i;
      },
    },
    { batchSize: 10, prefetch: 3, name: null },
  );
  for await (const batch of source) {
    expect(batch).toEqual(upTo(10));
    break;
  }
  expect([source.epoch, source.offset, read]).toEqual([0, 1, 40]);
  expect(source.state()).toMatchObject({ kind: "indexed", epoch: 0, offset: 1, length: 100, batchSize: 10 });
});

test("loops: one epoch each, or to the end of `epochs`; `for` and `for await` share the position", async () => {
  const points = Int32Array.from(upTo(6));
  const one = data.batches(points, { batchSize: 2, name: null });
  expect([...one].map(numbers)).toEqual([
    [0, 1],
    [2, 3],
    [4, 5],
  ]);
  expect([one.epoch, one.offset, one.length]).toEqual([1, 0, 3]);
  for (const batch of one) {
    expect(numbers(batch)).toEqual([0, 1]);
    break;
  }
  expect((await collect(one)).length).toBe(2);
  const three = data.batches(points, { batchSize: 2, epochs: 3, name: null });
  expect((await collect(three)).length).toBe(9);
  expect(three.epoch).toBe(3);
  expect([...three]).toEqual([]);
  let steps = 0;
  for await (const _ of data.batches(points, { batchSize: 3, epochs: Number.POSITIVE_INFINITY, name: null }))
    if (++steps === 7) break;
  expect(steps).toBe(7);
});

test("tuples and objects of arrays stay together; views where nothing moves; batches of loadMnist's kind are taken", async () => {
  const images = new flow.NdArray<"float32">(
    Float32Array.from({ length: 24 }, (_, i) => i),
    [6, 2, 2],
  );
  const labels = Int32Array.from([0, 1, 2, 3, 4, 5]);
  for (const [x, y] of data.batches([images, labels], { batchSize: 3, shuffle: true, seed: 2, name: null })) {
    expect([x.shape, x.dtype, y.shape, y.dtype]).toEqual([[3, 2, 2], "float32", [3], "int32"]);
    for (let row = 0; row < 3; row++) expect(x.at(row).data[0]).toBe(4 * y.data[row]!);
  }
  const [first] = [...data.batches({ images, labels }, { batchSize: 2, name: null })];
  expect(first!.images.data.buffer).toBe(images.data.buffer);
  expect(first!.labels.toArray()).toEqual([0, 1]);
  const again = [...data.batches(new data.Batches(images.data, [2, 2], 2, "float32"), { batchSize: 3, name: null })];
  expect(again.map((batch) => batch.shape)).toEqual([
    [3, 2, 2],
    [3, 2, 2],
  ]);
});

test("elements are stacked by their form: arrays, tuples, objects, numbers, texts", async () => {
  const source = data.batches(
    {
      length: 4,
      get: (i) => ({ image: new flow.NdArray(new Float32Array(4).fill(i), [2, 2]), label: i, file: `${i}.png` }),
    },
    { batchSize: 2, name: null },
  );
  for await (const { image, label, file } of source) {
    expect(image.shape).toEqual([2, 2, 2]);
    expect([image.data[0], image.data[4]]).toEqual(label);
    expect(file).toEqual(label.map((n) => `${n}.png`));
  }
  for await (const [x, y] of data.batches({ length: 2, get: (i) => [BigInt64Array.of(1n, 2n), i] }, { batchSize: 2 }))
    expect([x.dtype, x.shape, y]).toEqual(["int64", [2, 2], [0, 1]]);
  const odd = async (get: (i: number) => unknown): Promise<string> =>
    (await failure(() => collect(data.batches({ length: 4, get }, { batchSize: 4, name: null }) as never))).message;
  expect(await odd((i) => new Float32Array(i + 1))).toMatch(
    /element 1 of the batch is float32\[2\], the first is float32\[1\]/,
  );
  expect(await odd((i) => (i === 2 ? { a: 1 } : { a: 1, b: 2 }))).toMatch(/element 2 .* has parts \{a\}, .* \{a, b\}/);
  expect(await odd((i) => [i, i])).toMatch(/plain array of numbers/);
  expect(await odd(() => new Uint16Array(2))).toMatch(/got Uint16Array/);
});

test("random() of an element depends on seed, epoch and index alone", async () => {
  const drawn = async (seed: number, prefetch: number): Promise<number[][]> => {
    const source = data.batches(
      { length: 6, get: (i, { random, epoch }) => ({ index: i, first: epoch + random(), second: random() }) },
      { batchSize: 6, shuffle: true, seed, prefetch, epochs: 2, name: null },
    );
    const all: number[][] = [];
    for await (const { index, first, second } of source)
      for (const [row, i] of index.entries()) all.push([i, first[row]!, second[row]!]);
    return all.sort((a, b) => a[0]! - b[0]! || a[1]! - b[1]!);
  };
  expect(await drawn(1, 0)).toEqual(await drawn(1, 3));
  expect(await drawn(1, 0)).not.toEqual(await drawn(2, 0));
  const flat = (await drawn(1, 0)).flatMap(([, a, b]) => [a! % 1, b!]);
  expect(new Set(flat).size).toBe(24);
});

test("failures come when their batch is asked for, name the element, and the loop can go on there", async () => {
  let broken = true;
  const source = data.batches(
    {
      length: 8,
      get: async (i) => {
        if (i === 5 && broken) throw new Error("disk on fire");
        return i;
      },
    },
    { batchSize: 2, prefetch: 4, name: null },
  );
  const seen: number[] = [];
  const error = await failure(async () => {
    for await (const batch of source) seen.push(...batch);
  });
  expect(seen).toEqual([0, 1, 2, 3]);
  expect(error.message).toMatch(/get\(5\) failed in epoch 0: disk on fire/);
  expect((error.cause as Error).message).toBe("disk on fire");
  broken = false;
  for await (const batch of source) seen.push(...batch);
  expect(seen).toEqual(upTo(8));
});

test("streams: closed when the loop is left, opened for each epoch, told which; bad ones are errors", async () => {
  const log: string[] = [];
  const source = data.batches(
    async function* ({ epoch }) {
      log.push(`open ${epoch}`);
      try {
        for (let i = 0; i < 6; i++) yield i;
      } finally {
        log.push(`close ${epoch}`);
      }
    },
    { batchSize: 2, lastBatch: "drop", name: null },
  );
  for await (const _ of source) break;
  for await (const _ of source);
  for await (const _ of source);
  expect(log).toEqual(["open 0", "close 0", "open 0", "close 0", "open 1", "close 1"]);

  const run = async (stream: () => Iterable<number> | AsyncIterable<number>): Promise<string> =>
    (
      await failure(async () => {
        for await (const _ of data.batches(stream, { batchSize: 4, lastBatch: "drop", name: null, epochs: 2 }));
      })
    ).message;
  const once = [1, 2, 3, 4].values();
  expect(await run(() => once)).toMatch(/gave 0 elements .* in epoch 1.*fresh iterable/);
  expect(await run(() => [1, 2, 3])).toMatch(/gave 3 elements .* less than a batch/);
  expect(await run(() => 7 as never)).toMatch(/returned number, expected an iterable/);
  expect(
    await run(function* () {
      yield 1;
      throw new Error("torn tape");
    }),
  ).toMatch(/reading element 1 of epoch 0 failed: torn tape/);
  const shrunk = data.batches(() => [1, 2, 3, 4], { batchSize: 2, lastBatch: "drop", name: null });
  shrunk.restore({ ...shrunk.state(), offset: 3 });
  expect((await failure(() => collect(shrunk as never))).message).toMatch(/gave 2 batches .* but 3 had been read/);
});

test("a stream is shuffled as far as its buffer reaches", async () => {
  const order = (
    await collect(
      kinds.stream(1000, { batchSize: 10, shuffle: true, shuffleBuffer: 50, seed: 3, name: null, lastBatch: "keep" }),
    )
  ).flat();
  expect(sorted(order)).toEqual(upTo(1000));
  // An element is never handed out more than a buffer early, and elements do move.
  expect(order.every((value, place) => value <= place + 50)).toBe(true);
  expect(order.filter((value, place) => Math.abs(value - place) > 10).length).toBeGreaterThan(400);
});

test("sources larger than memory stay flat", async () => {
  const megabyte = 2 ** 18;
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  const used = (): number => {
    gc();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return (heapUsed + arrayBuffers) / 2 ** 20;
  };
  const terabyte = { length: 2 ** 20, get: async (i: number) => new Float32Array(megabyte).fill(i) };
  const tape = async function* () {
    for (let i = 0; ; i++) yield new Float32Array(megabyte).fill(i);
  };
  const before = used();
  let peak = 0;
  for (const source of [
    data.batches(terabyte, { batchSize: 4, shuffle: true, seed: 1, name: null }),
    data.batches(tape, { batchSize: 4, shuffle: true, shuffleBuffer: 8, seed: 1, lastBatch: "drop", name: null }),
  ]) {
    let steps = 0;
    for await (const batch of source) {
      expect(batch.shape).toEqual([4, megabyte]);
      if (++steps % 10 === 0) peak = Math.max(peak, used() - before);
      if (steps === 100) break;
    }
  }
  // A terabyte, 400 MB of it read twice: two batches ahead, one in use, their elements, the buffer.
  expect(peak).toBeLessThan(120);
  // An order of 2^40 elements needs no memory either.
  const huge = data.batches({ length: 2 ** 40, get: (i) => i }, { batchSize: 4, shuffle: true, seed: 1, name: null });
  for await (const batch of huge) {
    expect(batch.every((i) => i >= 0 && i < 2 ** 40)).toBe(true);
    if (huge.offset === 50) break;
  }
  expect(used() - before).toBeLessThan(120);
});

test("what does not fit is said when the source is made", async () => {
  const points = new Int32Array(10);
  const say = async (source: unknown, options: unknown): Promise<string> =>
    (await failure(() => data.batches(source as never, options as never))).message;
  expect(await say(points, { batchSize: 3 })).toMatch(/10 elements may not fill batches of 3; say lastBatch/);
  expect(await say(() => [], { batchSize: 3 })).toMatch(/a stream may not fill/);
  expect(await say(points, undefined)).toMatch(/options are missing/);
  expect(await say(points, { batchSize: 0 })).toMatch(/batchSize is 0, expected an integer from 1/);
  expect(await say(points, { batchSize: 5, shufle: true })).toMatch(/did you mean 'shuffle'/);
  expect(await say(points, { batchSize: 5, shuffle: 1 })).toMatch(/shuffle is 1/);
  expect(await say(points, { batchSize: 5, seed: -1 })).toMatch(/seed is -1/);
  expect(await say(points, { batchSize: 5, shard: { index: 2, count: 2 } })).toMatch(/shard.index is 2/);
  expect(await say(points, { batchSize: 3, lastBatch: "wrap" })).toMatch(/lastBatch is 'wrap'/);
  expect(await say(points, { batchSize: 20, lastBatch: "drop" })).toMatch(/no batch: 10 elements/);
  expect(await say(points, { batchSize: 5, shuffle: true, shuffleBuffer: 3 })).toMatch(/leave it out/);
  expect(await say(points, { batchSize: 5, name: "a/b" })).toMatch(/the name is 'a\/b'/);
  expect(await say([points, new Int32Array(9)], { batchSize: 5 })).toMatch(
    /source\[1\] has 9 rows, source\[0\] has 10/,
  );
  expect(await say([1, 2, 3], { batchSize: 1 })).toMatch(/source is a plain array/);
  expect(await say({ a: null }, { batchSize: 1 })).toMatch(/source\.a is null/);
  expect(await say({ length: 1.5, get: () => 1 }, { batchSize: 1 })).toMatch(/has length 1.5/);
  expect(await say((function* () {})(), { batchSize: 1 })).toMatch(/read once; pass a function/);
});

test("a state of another order is refused, by what differs", async () => {
  const make = (options: Partial<Options> = {}, length = 12) =>
    kinds.arrays(length, { batchSize: 3, shuffle: true, seed: 1, name: "mine", ...options });
  const source = make();
  const state = source.state();
  await source.close();
  const say = async (other: ReturnType<typeof make>, stored: unknown = state): Promise<string> => {
    const { message, code } = await failure(() => other.restore(stored as never));
    expect(code).toBe("E_DATA");
    await other.close();
    return message;
  };
  expect(await say(make({}, 15))).toMatch(/'mine': the stored position has length 12, this source 15/);
  expect(await say(make({ batchSize: 4 }))).toMatch(/batchSize 3, this source 4/);
  expect(await say(make({ shuffle: false }))).toMatch(/shuffle true, this source false/);
  expect(await say(make({ seed: 2 }))).toMatch(/seed 1, this source 2/);
  expect(await say(make({ shard: { index: 0, count: 2 }, lastBatch: "drop" }))).toMatch(/this source/);
  expect(await say(make(), { ...state, kind: "stream" })).toMatch(/kind "stream", this source "arrays"/);
  expect(await say(make(), { ...state, offset: 5 })).toMatch(/batch 5 of an epoch of 4/);
  expect(await say(make(), { ...state, epoch: -1 })).toMatch(/expected what state\(\) gives/);
  expect(await say(make(), "nonsense")).toMatch(/expected what state\(\) gives/);
  const closed = make();
  await closed.close();
  expect((await failure(() => [...closed])).code).toBe("E_CLOSED");
});
