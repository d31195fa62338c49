import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import * as flow from "onestep";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { planLoad } from "#src/checkpoint/read.js";
import { verifyCheckpoint } from "#src/checkpoint/verify.js";
import type { StoredVariable } from "#src/checkpoint/write.js";
import type { DType } from "#src/core/dtype.js";

// Whatever a directory holds, a load gives a named error or exactly what was saved, soon, without taking memory for it, and
// without touching a variable when it fails.

const types: readonly (readonly [string, DType, readonly number[]])[] = [
  ["a-weight", "float32", [3, 4]],
  ["b-bias", "float32", [4]],
  ["counter", "int64", [2]],
  ["table", "uint8", [16]],
];
const variables = types.map(([name, dtype, shape]): StoredVariable => ({ name, dtype, shape, fileName: "out" }));
const names = types.map(([name]) => name);

let root: string;
let good: string;
let job: () => Promise<readonly flow.NdArray[]>;
const checkPoint = new flow.train.CheckPoint();

async function declare(seed: number): Promise<void> {
  await flow.clearDefaultSession();
  flow.config.engine("reference");
  flow.config.seed(seed);
  job = flow.globalFunction({ type: "predict", name: "values", returns: types.map(() => flow.tp.Numpy) }, [], () =>
    types.map(([name, dtype, shape]) =>
      flow.identity(
        flow.getVariable(name, {
          dtype,
          shape,
          initializer:
            dtype === "float32"
              ? flow.randomUniformInitializer(-1, 1)
              : flow.randomUniformInitializer(0, 100, { dtype: dtype === "uint8" ? "uint8" : "int64" }),
        }),
      ),
    ),
  ) as unknown as typeof job;
  await checkPoint.init();
}
const bits = async (): Promise<string[]> =>
  (await job()).map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex"));

let initial: string[];
let saved: string[];
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "onestep-hostile-"));
  good = join(root, "good");
  await declare(8);
  saved = await bits();
  await checkPoint.save(good, { extras: { epoch: 3, note: "mine" } });
  await declare(7);
  initial = await bits();
  expect(initial).not.toEqual(saved);
});
afterAll(async () => {
  await flow.clearDefaultSession();
  rmSync(root, { recursive: true, force: true });
});

let count = 0;
let rise = 0;
const held = (): number => {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

/** Loads what `damage` made of a copy of the good checkpoint; gives the error's code, or what was loaded and initialised. */
async function attempt(damage: (dir: string) => unknown): Promise<string> {
  const dir = join(root, `case-${count++}`);
  cpSync(good, dir, { recursive: true });
  const path = ((await damage(dir)) as string | undefined) ?? dir;
  const before = held();
  let most = before;
  const sampler = setInterval(() => {
    most = Math.max(most, held());
  }, 1);
  let outcome: string;
  try {
    const report = await checkPoint.load(path);
    const now = await bits();
    for (const [i, name] of names.entries()) {
      const expected = report.loaded.includes(name) ? saved[i] : initial[i];
      expect(now[i], `${name} after a load that went well`).toBe(expected);
    }
    const { state } = await planLoad(path, variables);
    if (state !== undefined)
      expect(state).toEqual({ seed: 8, calls: { values: 1 }, extras: { epoch: 3, note: "mine" } });
    outcome = report.initialized.length === 0 ? "loads" : `initialises ${report.initialized.join()}`;
    await checkPoint.init();
  } catch (error) {
    if (!(error instanceof flow.FlowError)) throw error;
    expect(await bits(), `variables after ${error.message}`).toEqual(initial);
    outcome = error.code;
  } finally {
    clearInterval(sampler);
  }
  rise = Math.max(rise, most - before, held() - before);
  // Neither does looking without a program end in anything but a report or a named error.
  await verifyCheckpoint(path).catch((error: unknown) => expect(error).toBeInstanceOf(flow.FlowError));
  rmSync(dir, { recursive: true, force: true });
  return outcome;
}

const on = (file: string, change: (path: string) => unknown) => (dir: string) => void change(join(dir, file));
const replaced = (file: string, make: (path: string) => unknown) =>
  on(file, (path) => {
    rmSync(path, { recursive: true });
    return make(path);
  });
const written = (file: string, text: string | Uint8Array) => on(file, (path) => writeFileSync(path, text));
const meta = (change: object) =>
  on("a-weight/meta", (path) => {
    const now: object = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...now, ...change }));
  });
/** Makes something in the directory and loads that. */
const inside = (name: string, make: (path: string) => unknown) => (dir: string) => {
  make(join(dir, name));
  return join(dir, name);
};
const fifo = (path: string) => execFileSync("mkfifo", [path]);
const outside = (name: string) => join(root, name);

const byHand: readonly (readonly [title: string, damage: (dir: string) => unknown, expected: string])[] = [
  ["nothing", () => {}, "loads"],
  // Links out, and into itself.
  [
    "a variable's folder is a link",
    replaced("a-weight", (path) => symlinkSync(join(good, "a-weight"), path)),
    "E_CKPT_UNSAFE",
  ],
  ["a folder is a link to nothing", replaced("a-weight", (path) => symlinkSync("/nonexistent", path)), "E_CKPT_UNSAFE"],
  [
    "out is a link out",
    replaced("a-weight/out", (path) => symlinkSync(join(good, "a-weight/out"), path)),
    "E_CKPT_UNSAFE",
  ],
  [
    "out is a link to a neighbour",
    replaced("a-weight/out", (path) => symlinkSync("../b-bias/out", path)),
    "E_CKPT_UNSAFE",
  ],
  ["out is a link to itself", replaced("a-weight/out", (path) => symlinkSync("out", path)), "E_CKPT_UNSAFE"],
  [
    "out is a link to /etc/passwd",
    replaced("a-weight/out", (path) => symlinkSync("/etc/passwd", path)),
    "E_CKPT_UNSAFE",
  ],
  ["out is a link to /dev/zero", replaced("a-weight/out", (path) => symlinkSync("/dev/zero", path)), "E_CKPT_UNSAFE"],
  [
    "meta is a link",
    replaced("a-weight/meta", (path) => symlinkSync(join(good, "a-weight/meta"), path)),
    "E_CKPT_UNSAFE",
  ],
  ["onestep.json is a link", replaced("onestep.json", (path) => symlinkSync("/etc/passwd", path)), "E_CKPT_UNSAFE"],
  ["an unknown folder is a link", on("zzz", (path) => symlinkSync("/", path)), "E_CKPT_UNSAFE"],
  [
    "the mark is a link",
    (dir) => {
      rmSync(join(dir, "a-weight/meta"));
      replaced("snapshot_done", (path) => symlinkSync("/", path))(dir);
    },
    "E_CKPT_UNSAFE",
  ],
  // What would block, or never end.
  ["a folder is a FIFO", replaced("a-weight", fifo), "E_CKPT_UNSAFE"],
  ["out is a FIFO", replaced("a-weight/out", fifo), "E_CKPT_UNSAFE"],
  ["meta is a FIFO", replaced("a-weight/meta", fifo), "E_CKPT_UNSAFE"],
  ["onestep.json is a FIFO", replaced("onestep.json", fifo), "E_CKPT_UNSAFE"],
  ["the directory is a FIFO", inside("fifo", (path) => fifo(path)), "E_CKPT_DIR"],
  // Names.
  [
    "two names that differ in case",
    on("A-Weight", (path) => cpSync(join(good, "a-weight"), path, { recursive: true })),
    "E_CKPT_UNSAFE",
  ],
  [
    "two unknown names that differ in case",
    (dir) => ["new", "NEW"].forEach((name) => void mkdirSync(join(dir, name))),
    "E_CKPT_UNSAFE",
  ],
  [
    "odd names beside",
    (dir) => [".git", "a b", "\u001b[2J", "größe", "...x"].forEach((name) => void mkdirSync(join(dir, name))),
    "loads",
  ],
  ["the path has a NUL", (dir) => `${dir}\0`, "E_ARGUMENT"],
  ["the path is empty", () => "", "E_ARGUMENT"],
  ["the path does not exist", (dir) => `${dir}-not`, "E_CKPT_DIR"],
  ["the path is a file", (dir) => join(dir, "onestep.json"), "E_CKPT_DIR"],
  ["the path is longer than any", (dir) => join(dir, "x".repeat(5000)), "E_CKPT_IO"],
  ["the path is a link to itself", inside("loop", (path) => symlinkSync("loop", path)), "E_CKPT_DIR"],
  ["the directory is empty", inside("empty", (path) => mkdirSync(path)), "E_CKPT_DIR"],
  [
    "a crashed save's name",
    inside(".m.0123abcd-1-00112233aabb.saving", (path) => cpSync(good, path, { recursive: true })),
    "E_CKPT_DIR",
  ],
  // Sizes.
  ["out has a byte less", on("a-weight/out", (path) => truncateSync(path, 47)), "E_CKPT_SIZE"],
  ["out has a byte more", on("a-weight/out", (path) => truncateSync(path, 49)), "E_CKPT_SIZE"],
  ["out is empty", on("a-weight/out", (path) => truncateSync(path, 0)), "E_CKPT_SIZE"],
  ["out has 1 TB, all hole", on("a-weight/out", (path) => truncateSync(path, 2 ** 40)), "E_CKPT_SIZE"],
  ["meta has 1 TB", on("a-weight/meta", (path) => truncateSync(path, 2 ** 40)), "E_CKPT_META"],
  ["onestep.json has 1 TB", on("onestep.json", (path) => truncateSync(path, 2 ** 40)), "E_CKPT_META"],
  ["meta has 64 KiB and a byte", written("a-weight/meta", " ".repeat(65537)), "E_CKPT_META"],
  ["meta: 10^15 elements", meta({ shape: [1e15] }), "E_CKPT_META"],
  ["meta: 2^64 elements", meta({ shape: [2 ** 32, 2 ** 32] }), "E_CKPT_META"],
  [
    "meta: a size that is no number",
    written("a-weight/meta", '{"dtype":"float32","shape":[1e999],"sha256":""}'),
    "E_CKPT_META",
  ],
  ["meta: a negative size", meta({ shape: [-3, -4] }), "E_CKPT_META"],
  ["meta: a broken size", meta({ shape: [1.5, 8] }), "E_CKPT_META"],
  ["meta: nested sizes", meta({ shape: [[3], [4]] }), "E_CKPT_META"],
  ["meta: sizes in text", meta({ shape: ["3", "4"] }), "E_CKPT_META"],
  ["meta: an object for a shape", meta({ shape: { length: 2, 0: 3, 1: 4 } }), "E_CKPT_META"],
  ["meta: 10,000 dimensions", meta({ shape: new Array(10_000).fill(1) }), "E_CKPT_META"],
  // Types: equal size, other meaning.
  ["meta: transposed", meta({ shape: [4, 3] }), "E_CKPT_META"],
  ["meta: int32 of equal size", meta({ dtype: "int32" }), "E_CKPT_META"],
  ["meta: unknown dtype", meta({ dtype: "Float32" }), "E_CKPT_META"],
  ["meta: a dtype from the prototype", meta({ dtype: "constructor" }), "E_CKPT_META"],
  ["meta: no dtype", meta({ dtype: null }), "E_CKPT_META"],
  ["meta: hash in capitals", meta({ sha256: "A".repeat(64) }), "E_CKPT_META"],
  ["meta: short hash", meta({ sha256: "00" }), "E_CKPT_META"],
  ["meta: another hash", meta({ sha256: "0".repeat(64) }), "E_CKPT_HASH"],
  // JSON.
  ...[
    "",
    "{",
    "nul",
    "[]",
    "null",
    "0",
    '"text"',
    "\0",
    "\ufeff{}",
    "{'a':1}",
    "[".repeat(60_000),
    '{"__proto__":{}}',
  ].flatMap((text) =>
    (["a-weight/meta", "onestep.json"] as const).map(
      (file) => [`${file}: ${JSON.stringify(text.slice(0, 12))}`, written(file, text), "E_CKPT_META"] as const,
    ),
  ),
  [
    "meta is UTF-16",
    on("a-weight/meta", (path) => writeFileSync(path, readFileSync(path, "utf8"), "utf16le")),
    "E_CKPT_META",
  ],
  ["onestep.json: another seed", written("onestep.json", '{"format":1,"seed":1e999,"calls":{}}'), "E_CKPT_META"],
  [
    "onestep.json: seed changed",
    on("onestep.json", (path) => writeFileSync(path, readFileSync(path, "utf8").replace('"seed":8', '"seed":9'))),
    "E_CKPT_HASH",
  ],
  [
    "onestep.json: extras changed",
    on("onestep.json", (path) => writeFileSync(path, readFileSync(path, "utf8").replace("mine", "ours"))),
    "E_CKPT_HASH",
  ],
  ["onestep.json: calls as a list", written("onestep.json", '{"format":1,"seed":1,"calls":[]}'), "E_CKPT_META"],
  ["onestep.json: half a call", written("onestep.json", '{"format":1,"seed":1,"calls":{"a":0.5}}'), "E_CKPT_META"],
  ["onestep.json: a later format", written("onestep.json", '{"format":1e15}'), "E_CKPT_META"],
  // Kinds.
  ["out is a folder", replaced("a-weight/out", (path) => mkdirSync(path)), "E_CKPT_IO"],
  ["meta is a folder", replaced("a-weight/meta", (path) => mkdirSync(path)), "E_CKPT_IO"],
  ["onestep.json is a folder", replaced("onestep.json", (path) => mkdirSync(path)), "E_CKPT_IO"],
  ["a variable's folder is a file", replaced("a-weight", (path) => writeFileSync(path, "")), "initialises a-weight"],
  ["a variable's folder is gone", on("a-weight", (path) => rmSync(path, { recursive: true })), "initialises a-weight"],
  ["out is gone", on("a-weight/out", (path) => rmSync(path)), "initialises a-weight"],
  ["meta is gone", on("a-weight/meta", (path) => rmSync(path)), "loads"],
  ["onestep.json is gone", on("onestep.json", (path) => rmSync(path)), "loads"],
  ["the mark is gone", on("snapshot_done", (path) => rmSync(path, { recursive: true })), "loads"],
  // Mixed up.
  [
    "two outs of one size changed places",
    (dir) => {
      const [a, b] = ["b-bias/out", "counter/out"].map((file) => join(dir, file)) as [string, string];
      renameSync(a, outside("swap"));
      renameSync(b, a);
      renameSync(outside("swap"), b);
    },
    "E_CKPT_HASH",
  ],
  [
    "two folders of other types changed places",
    (dir) => {
      const [a, b] = ["b-bias", "table"].map((file) => join(dir, file)) as [string, string];
      renameSync(a, outside("swap"));
      renameSync(b, a);
      renameSync(outside("swap"), b);
    },
    "E_CKPT_META",
  ],
];

describe.skipIf(process.platform === "win32")("directories made by hand", () => {
  test.each(byHand)("%s", async (_, damage, expected) => {
    expect(await attempt(damage)).toBe(expected);
  });

  test("out is a socket", async () => {
    const server = createServer();
    const outcome = await attempt(async (dir) => {
      rmSync(join(dir, "a-weight/out"));
      await new Promise<void>((resolve) => server.listen(join(dir, "a-weight/out"), resolve));
    });
    server.close();
    expect(outcome).toBe("E_CKPT_UNSAFE");
  });

  test("out is a device", async (context) => {
    if (process.platform !== "linux" || process.getuid!() !== 0) context.skip("making a device needs root on Linux");
    expect(await attempt(replaced("a-weight/out", (path) => execFileSync("mknod", [path, "c", "1", "5"])))).toBe(
      "E_CKPT_UNSAFE",
    );
  });

  test("what takes a file's place while it is opened is refused, and never waited for", async () => {
    const dir = join(root, "swapped");
    cpSync(good, dir, { recursive: true });
    const [out, pipe, aside] = [join(dir, "a-weight/out"), join(root, "pipe"), join(root, "aside")];
    fifo(pipe);
    const swapper = new Worker(
      `const { renameSync } = require("node:fs");
       const { out, pipe, aside } = require("node:worker_threads").workerData;
       for (;;) {
         renameSync(out, aside); renameSync(pipe, out);
         renameSync(out, pipe); renameSync(aside, out);
       }`,
      { eval: true, workerData: { out, pipe, aside } },
    );
    await once(swapper, "online");
    const outcomes = new Set<string>();
    for (let i = 0; i < 300; i++) {
      const plan = await planLoad(dir, variables.slice(0, 1), { allowEmpty: true }).catch(
        (error: flow.FlowError) => error,
      );
      outcomes.add(plan instanceof flow.FlowError ? plan.code : plan.loaded.length === 1 ? "loads" : "initialises");
    }
    await swapper.terminate();
    expect(outcomes).toContain("E_CKPT_UNSAFE");
    for (const outcome of outcomes) expect(["E_CKPT_UNSAFE", "E_CKPT_IO", "loads", "initialises"]).toContain(outcome);
  });

  test("more entries than any model has", async () => {
    const outcome = await attempt((dir) => {
      for (let i = 0; i <= 20_000; i++) writeFileSync(join(dir, `n${i}`), "");
    });
    expect(outcome).toBe("E_CKPT_UNSAFE");
  });
});

test("240 mutations: a named error, or exactly what was saved", { timeout: 120_000 }, async () => {
  const files = [...names.flatMap((name) => [`${name}/out`, `${name}/meta`]), "onestep.json"];
  const mutation = fc.record({
    file: fc.constantFrom(...files),
    kind: fc.constantFrom("flip", "set", "cut", "grow", "repeat", "drop", "random", "digit", "swap"),
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    value: fc.integer({ min: 0, max: 255 }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 200 }),
    other: fc.constantFrom(...files),
  });
  const outcomes = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 2 }), async (mutations) => {
      const outcome = await attempt((dir) => {
        for (const { file, kind, at, value, bytes, other } of mutations) {
          const path = join(dir, file);
          const now = readFileSync(path);
          const index = Math.floor(at * now.length);
          const part = now.subarray(index, index + value);
          const digits = [...now.keys()].filter((i) => now[i]! >= 48 && now[i]! <= 57);
          const digit = digits[Math.floor(at * digits.length)];
          const changed: Record<typeof kind, () => Uint8Array> = {
            flip: () => now.map((byte, i) => (i === index ? byte ^ (1 << (value & 7)) : byte)),
            set: () => now.map((byte, i) => (i === index ? value : byte)),
            cut: () => now.subarray(0, index),
            grow: () => Buffer.concat([now, bytes]),
            repeat: () => Buffer.concat([now.subarray(0, index), part, now.subarray(index)]),
            drop: () => Buffer.concat([now.subarray(0, index), now.subarray(index + value)]),
            random: () => bytes,
            digit: () => now.map((byte, i) => (i === digit ? 48 + (value % 10) : byte)),
            swap: () => readFileSync(join(dir, other)),
          };
          writeFileSync(path, changed[kind]());
        }
      });
      expect(outcome).toMatch(/^(loads|E_CKPT_(SIZE|META|HASH))$/);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }),
    { numRuns: 240, seed: 20_26 },
  );
  // All of them are met, so the mutations reach what they should.
  expect([...outcomes.keys()].sort()).toEqual(["E_CKPT_HASH", "E_CKPT_META", "E_CKPT_SIZE", "loads"]);
});

test("300 inputs and more, and none took 64 MB", () => {
  expect(count).toBeGreaterThanOrEqual(300);
  expect(rise).toBeLessThan(64 << 20);
});
