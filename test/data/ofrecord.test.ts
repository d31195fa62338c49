import { cpSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { streamOf } from "#src/core/rng.js";
import { epochOrder, partNames, RecordIndex, readRecords } from "#src/data/ofrecord.js";
import { isReady } from "../engines/ready.js";
import { failure, scratch } from "../jobs/support.js";

const engines = ["onnx", "reference", ...(isReady("tensorflow") ? ["tensorflow"] : [])];

// Ten records in three parts, written by Python's protobuf.
const golden = fileURLToPath(new URL("../golden/ofrecord", import.meta.url));
interface GoldenRecord {
  readonly labels: readonly number[];
  readonly dense: readonly number[];
  readonly exact: readonly number[];
  readonly wide: readonly string[];
  readonly ids: readonly number[];
  readonly bytes: readonly number[];
}
const written = JSON.parse(readFileSync(`${golden}.json`, "utf8")) as readonly GoldenRecord[];
const goldenParts = { dataPartNum: 3, partNameSuffixLength: 5 };
const reader = (options: flow.data.OFRecordReaderOptions = {}, folder = golden): flow.Blob =>
  flow.data.ofrecordReader(folder, { ...goldenParts, ...options });
const decode = flow.data.ofrecordRawDecoder;
const list = (array: flow.NdArray): number[] => Array.from(array.data, Number);

/** Record numbers of `calls` calls. */
async function numbers(options: flow.data.OFRecordReaderOptions, calls: number, folder = golden): Promise<number[]> {
  const job = flow.globalFunction({ name: "numbers" }, () => reader(options, folder));
  const seen: number[] = [];
  for (let call = 0; call < calls; call++) seen.push(...list(await job()));
  return seen;
}

// --- hand-made files: field numbers and wire types written out ------------------------------------------------------

/** A field of bytes: tag, length, content (each below 128). */
const field = (number: number, content: readonly number[]): number[] => [8 * number + 2, content.length, ...content];
/** A message whose features are lists, given as the bytes of Feature. */
const message = (features: Readonly<Record<string, readonly number[]>>): number[] =>
  Object.entries(features).flatMap(([name, feature]) =>
    field(1, [...field(1, [...Buffer.from(name)]), ...field(2, feature)]),
  );
const int32s = (values: readonly number[]): number[] => field(4, field(1, values));
const byteStrings = (...strings: readonly (readonly number[])[]): number[] =>
  field(
    1,
    strings.flatMap((string) => field(1, string)),
  );
const framed = (bytes: readonly number[]): number[] => [bytes.length, 0, 0, 0, 0, 0, 0, 0, ...bytes];
function write(...messages: readonly (readonly number[])[]): string {
  const folder = scratch();
  writeFileSync(join(folder, "part-0"), Buffer.from(messages.flatMap(framed)));
  return folder;
}
/** What a job decodes from the first record of a folder. */
const decoded = (
  folder: string,
  feature: string,
  shape: readonly number[],
  dtype: flow.DType,
  options: flow.data.OFRecordRawDecoderOptions = {},
): Promise<flow.NdArray> =>
  flow.globalFunction({ name: "decoded" }, () =>
    decode(flow.data.ofrecordReader(folder), feature, shape, dtype, options),
  )();

// --- values ---------------------------------------------------------------------------------------------------------

test.each(engines)(
  "what Python's protobuf wrote is what a job on %s reads, across parts and epochs",
  async (engine) => {
    flow.config.engine(engine);
    const job = flow.globalFunction({ name: "read" }, () => {
      const record = reader({ batchSize: 4 });
      return {
        number: record,
        labels: decode(record, "labels", [1], flow.int32),
        dense: decode(record, "dense", [3], flow.float),
        exact: flow.data.OFRecordRawDecoder(record, "exact", [2, 1], flow.double),
        wide: decode(record, "wide", [2], flow.int64),
        ids: decode(record, "ids", [5], flow.int64, { autoZeroPadding: true }),
        varying: decode(record, "ids", [3], flow.float, { dim1VaryingLength: true }),
        truncated: decode(record, "dense", [3], flow.int8),
        signed: decode(record, "bytes", [4], flow.float),
        cut: decode(record, "bytes", [3], flow.uint8),
      };
    });
    for (let call = 0; call < 5; call++) {
      const batch = await job();
      const at = [0, 1, 2, 3].map((i) => (4 * call + i) % 10);
      const records = at.map((i) => written[i]!);
      expect(list(batch.number)).toEqual(at);
      expect(list(batch.labels)).toEqual(at);
      expect(batch.labels.shape).toEqual([4, 1]);
      expect(list(batch.dense)).toEqual(records.flatMap(({ dense }) => dense));
      expect(list(batch.exact)).toEqual(records.flatMap(({ exact }) => exact));
      expect(batch.exact.shape).toEqual([4, 2, 1]);
      // The reference engine computes in float64, which holds integers to 2 ** 53.
      const held = (value: string): bigint => (engine === "reference" ? BigInt(Number(value)) : BigInt(value));
      expect([...(batch.wide.data as BigInt64Array)]).toEqual(records.flatMap(({ wide }) => wide.map(held)));
      expect(list(batch.ids)).toEqual(records.flatMap(({ ids }) => [...ids, 0, 0, 0, 0, 0].slice(0, 5)));
      expect(list(batch.varying)).toEqual(records.flatMap(({ ids }) => [...ids, 0, 0, 0].slice(0, 3)));
      expect(list(batch.truncated)).toEqual(records.flatMap(({ dense }) => dense.map((v) => Math.trunc(v) + 0)));
      expect(list(batch.signed)).toEqual(records.flatMap(({ bytes }) => bytes.map((b) => (b > 127 ? b - 256 : b))));
      expect(list(batch.cut)).toEqual(records.flatMap(({ bytes }) => bytes.slice(0, 3)));
    }
  },
);

test("a number list may come unpacked and in pieces, as protobuf allows", async () => {
  const pieces = field(4, [8, 7, ...field(1, [8]), 8, 9]); // tag 1 varint 7; packed [8]; varint 9
  expect(list(await decoded(write(message({ x: pieces })), "x", [3], flow.int32))).toEqual([7, 8, 9]);
});

test("names of part files", () => {
  expect(partNames(2, "part-", -1)).toEqual(["part-0", "part-1"]);
  expect(partNames(12, "train.of_record-", 5).at(-1)).toBe("train.of_record-00011");
});

test("a record longer than a megabyte is skipped and read whole", async () => {
  const folder = scratch();
  const sizes = [5, 3 * 2 ** 20, 2 ** 20 - 8, 7];
  const bytes = sizes.map((size, i) => Buffer.concat([Buffer.alloc(8), Buffer.alloc(size, i + 1)]));
  for (const [i, size] of sizes.entries()) bytes[i]!.writeBigInt64LE(BigInt(size));
  writeFileSync(join(folder, "part-0"), Buffer.concat(bytes));
  const parts = { folder, names: ["part-0"] };
  const index = await RecordIndex.of("test", parts);
  const order = epochOrder(index, 1, 0, streamOf(1), { randomShuffle: false, shuffleAfterEpoch: false });
  const read = await readRecords("test", parts, [0, 1, 2, 3].map(order));
  expect(read.map((record) => [record.length, record[0], record.at(-1)])).toEqual(
    sizes.map((size, i) => [size, i + 1, i + 1]),
  );
});

// --- order ----------------------------------------------------------------------------------------------------------

test("randomShuffle: each epoch holds every record once, in an order of its own that the seed decides", async () => {
  const draw = async (seed: number): Promise<number[][]> => {
    await flow.clearDefaultSession();
    flow.config.seed(seed);
    const seen = await numbers({ batchSize: 4, randomShuffle: true }, 5);
    return [seen.slice(0, 10), seen.slice(10)];
  };
  const [first, second] = await draw(3);
  const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  for (const epoch of [first!, second!]) {
    expect([...epoch].sort((a, b) => a - b)).toEqual(all);
    expect(epoch).not.toEqual(all);
  }
  expect(first).not.toEqual(second);
  expect(await draw(3)).toEqual([first, second]);
  expect(await draw(4)).not.toEqual([first, second]);
});

test("shuffleAfterEpoch: parts keep their records' order; they change places from the second epoch on", async () => {
  flow.config.seed(1);
  const seen = await numbers({ batchSize: 10, shuffleAfterEpoch: true }, 8);
  const epochs = Array.from({ length: 8 }, (_, i) => seen.slice(10 * i, 10 * i + 10).join(""));
  expect(epochs[0]).toBe("0123456789");
  for (const epoch of epochs) {
    expect(epoch).toHaveLength(10);
    for (const part of ["012", "34567", "89"]) expect(epoch).toContain(part);
  }
  expect(new Set(epochs).size).toBeGreaterThan(2);
});

test("training on onnx resumes at the right record, in the same and in the next epoch", async () => {
  const job = () =>
    flow.globalFunction({ type: "train", name: "train" }, () => {
      const record = reader({ batchSize: 3, randomShuffle: true });
      const initializer = flow.randomNormalInitializer();
      const weight = flow.getVariable("weight", { shape: [3, 1], initializer });
      const labels = decode(record, "labels", [1], flow.float);
      const loss = flow.math.square(flow.matmul(decode(record, "dense", [3], flow.float), weight).sub(labels));
      const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.05]);
      new flow.optimizer.SGD(rate, { momentum: 0.9 }).minimize(loss);
      return { record, loss };
    });
  const checkPoint = new flow.train.CheckPoint();
  const begin = async (): Promise<ReturnType<typeof job>> => {
    await flow.clearDefaultSession();
    flow.config.engine("onnx");
    return job();
  };
  const step = async (train: ReturnType<typeof job>): Promise<number[][]> => {
    const { record, loss } = await train();
    return [list(record), list(loss)];
  };
  flow.config.seed(11);
  const folder = scratch();
  let train = job();
  await checkPoint.init();
  const whole: number[][][] = [];
  for (let call = 0; call < 8; call++) {
    if (call === 2 || call === 5) await checkPoint.save(join(folder, `after-${call}`));
    whole.push(await step(train));
  }
  // 24 records: epochs end within calls 3 and 6.
  for (const from of [2, 5]) {
    train = await begin();
    await checkPoint.load(join(folder, `after-${from}`));
    for (let call = from; call < 8; call++)
      expect(await step(train), `call ${call} after ${from}`).toEqual(whole[call]);
  }
});

// --- errors ---------------------------------------------------------------------------------------------------------

test("folders and files that are missing or damaged", async () => {
  const wrong = async (folder: string, options = {}): Promise<string> => {
    await flow.clearDefaultSession();
    const error = await failure(() => numbers(options, 1, folder));
    expect(error.code).toBe("E_DATA");
    return error.message;
  };
  const folder = scratch();
  expect(await wrong(join(folder, "none"))).toContain("data.ofrecordReader: ");
  expect(await wrong(join(folder, "none"))).toContain("/none' is no folder; give the one that holds 'part-00000'");
  expect(await wrong(golden, { dataPartNum: 4 })).toContain(
    "part-00003', part 3 of 4; check dataPartNum, partNamePrefix and partNameSuffixLength",
  );
  mkdirSync(join(folder, "empty"));
  writeFileSync(join(folder, "empty", "part-0"), "");
  const single = { dataPartNum: 1, partNameSuffixLength: -1 };
  expect(await wrong(join(folder, "empty"), single)).toContain("are empty, expected records");
  const copy = join(folder, "copy");
  cpSync(golden, copy, { recursive: true });
  truncateSync(join(copy, "part-00001"), 790);
  expect(await wrong(copy)).toMatch(
    /part-00001', record 4: at byte \d+: its length is 1\d\d, but 1\d\d bytes follow; the file is/,
  );
  writeFileSync(join(copy, "part-00001"), Buffer.from([...framed([1]), 3, 0, 0]));
  expect(await wrong(copy)).toContain("part-00001', record 1: the file ends after 3 of the 8 bytes of its length");
  writeFileSync(join(copy, "part-00001"), Buffer.alloc(8));
  expect(await wrong(copy)).toContain("part-00001', record 0: at byte 0: its length is 0, expected a positive number");
});

test("records and features that do not fit name file, record and feature", async () => {
  const wrong = async (
    record: readonly number[],
    dtype: flow.DType,
    options: flow.data.OFRecordRawDecoderOptions = {},
  ): Promise<string> => {
    await flow.clearDefaultSession();
    const error = await failure(() => decoded(write(record), "x", [2], dtype, options));
    expect(error.code).toBe("E_DATA");
    const [, rest] = /^data\.ofrecordRawDecoder: '.*[\\/]part-0', record 0: (.*) \[E_DATA\]$/.exec(error.message) ?? [];
    return rest ?? error.message;
  };
  const x = "feature 'x'";
  expect(await wrong([255, 255, 255], flow.int32)).toMatch(/^is no OFRecord message \(.+\); write or fetch/);
  expect(await wrong(message({ a: int32s([1]), b: int32s([1]) }), flow.int32)).toBe("has no feature 'x'; it has a, b");
  expect(await wrong(message({ x: int32s([1]) }), flow.int32)).toContain(`${x} holds 1 values, expected 2; give`);
  expect(await wrong(message({ x: int32s([1, 2, 3]) }), flow.int32)).toBe(`${x} holds 3 values, expected 2`);
  expect(await wrong(message({ x: int32s([1, 2, 3]) }), flow.int32, { autoZeroPadding: true })).toBe(
    `${x} holds 3 values, expected at most 2`,
  );
  expect(await wrong(message({ x: byteStrings([1]) }), flow.int32)).toContain(`${x} holds 1 bytes, expected 2; give`);
  expect(await wrong(message({ x: byteStrings([1, 2], [3, 4]) }), flow.int32)).toContain(`${x} holds 2 byte strings`);
  expect(await wrong(message({ x: [] }), flow.int32)).toContain(`${x} holds no list of values`);
  expect(await wrong(message({ x: int32s([1, 0x80, 1]) }), flow.int8)).toBe(
    `${x} holds 128 at index 1, which int8 cannot hold; decode it as a wider dtype and flow.cast it`,
  );
  const nan = field(2, field(1, [0, 0, 0xc0, 0x7f, 0, 0, 0, 0]));
  for (const dtype of [flow.int32, flow.int64] as const)
    expect(await wrong(message({ x: nan }), dtype)).toContain(`${x} holds NaN at index 0, which ${dtype} cannot hold`);
});

test("a step that fails changes nothing, and the next call reads a file that was mended", async () => {
  const good = message({ x: int32s([1]) });
  const folder = write(good, message({ y: int32s([1]) }));
  const train = flow.globalFunction({ type: "train", name: "train", returns: tp.Numpy }, () => {
    const x = decode(flow.data.ofrecordReader(folder), "x", [1], flow.float);
    const weight = flow.getVariable("weight", { shape: [1, 1], initializer: flow.constantInitializer(1) });
    const loss = flow.matmul(x, weight);
    new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.5])).minimize(loss);
    return loss;
  });
  const checkPoint = new flow.train.CheckPoint();
  await checkPoint.init();
  expect(list(await train())).toEqual([1]);
  expect((await failure(() => train())).message).toContain("part-0', record 1: has no feature 'x'; it has y");
  // Of the same length, so that the places still hold.
  writeFileSync(join(folder, "part-0"), Buffer.from([...framed(good), ...framed(good)]));
  expect(list(await train())).toEqual([0.5]);
  writeFileSync(join(folder, "part-0"), Buffer.from(framed(good)));
  await train();
  expect((await failure(() => train())).message).toContain(
    "part-0', record 1: the file changed while the job was using it",
  );
});

test("arguments that are wrong", async () => {
  const message = async (build: () => unknown): Promise<string> => {
    await flow.clearDefaultSession();
    return (
      await failure(
        flow.globalFunction({ name: "wrong" }, () => {
          build();
          return null;
        }),
      )
    ).message;
  };
  const name = "data.ofrecordReader";
  expect(await message(() => flow.data.ofrecordReader(""))).toContain(`${name}: ofrecordDir is '', expected the path`);
  for (const option of ["batchSize", "dataPartNum", "shuffleBufferSize"])
    expect(await message(() => reader({ [option]: 0 }))).toContain(
      `${name}: ${option} is 0, expected a positive integer`,
    );
  expect(await message(() => reader({ partNamePrefix: "" }))).toContain(`${name}: partNamePrefix is ''`);
  expect(await message(() => reader({ partNameSuffixLength: 1.5 }))).toContain(`${name}: partNameSuffixLength is 1.5`);
  expect(await message(() => reader({ randomShuffle: 1 as never }))).toContain(`${name}: randomShuffle is 1`);
  const decoder = "data.ofrecordRawDecoder";
  expect(await message(() => decode(flow.constant(1, { dtype: "int64", shape: [2] }), "x", [1], "int32"))).toContain(
    `${decoder}: inputBlob is int64[2] of 'constant_0', expected what data.ofrecordReader returned`,
  );
  expect(await message(() => decode(reader(), "", [1], "int32"))).toContain(`${decoder}: blobName is the string ''`);
  expect(await message(() => decode(reader(), "x", [0], "int32"))).toContain(`${decoder}: shape is [0], expected`);
  expect(await message(() => decode(reader(), "x", [1], "float16"))).toContain(`${decoder}: dtype is 'float16'`);
  expect(await message(() => decode(reader(), "x", [1], "int8", { autoZeroPadding: 1 as never }))).toContain(
    `${decoder}: autoZeroPadding is 1, expected true or false`,
  );
});
