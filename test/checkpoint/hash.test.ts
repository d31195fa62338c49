import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { withHashing } from "#src/checkpoint/hash.js";
import { planLoad } from "#src/checkpoint/read.js";
import { verifyCheckpoint } from "#src/checkpoint/verify.js";
import { type StoredVariable, saveCheckpoint } from "#src/checkpoint/write.js";
import type { Tensor } from "#src/core/tensor.js";

const MB = 2 ** 20;
const bytes = new Uint8Array(80 * MB).map((_, i) => (i * 2654435761) >>> 24);
const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

// Threads that were started since the test began, and how many of them have ended.
let started: Worker[] = [];
let ended = 0;
const count = (worker: Worker): void => {
  started.push(worker);
  worker.once("exit", () => ended++);
};
beforeAll(() => {
  process.on("worker", count);
});
afterEach(() => {
  started = [];
  ended = 0;
});
afterAll(() => {
  process.off("worker", count);
});
const threads = availableParallelism() > 1 ? 2 : 0;

describe("withHashing", () => {
  test("hashes files side by side, in pieces of any size, on threads that end with it", async () => {
    const files = [70 * MB + 1, 20 * MB, 3 * MB, 1000, 0].map((size) => bytes.subarray(80 * MB - size));
    const hashes = await withHashing((hashing) =>
      Promise.all(
        files.map(async (file, i) => {
          const hash = await hashing(file.byteLength);
          const piece = [MB, MB + 7, 300_001, 100, 1][i]!;
          const used = new Uint8Array(piece);
          for (let at = 0; at < file.byteLength; at += piece) {
            const part = used.subarray(0, Math.min(piece, file.byteLength - at));
            part.set(file.subarray(at, at + piece));
            await hash.update(part);
            // The bytes may change now.
            part.fill(0);
          }
          return hash.digest();
        }),
      ),
    );
    expect(hashes).toEqual(files.map(sha256));
    expect([started.length, ended]).toEqual([threads, threads]);
  });

  test("starts no thread for what is small", async () => {
    const small = bytes.subarray(0, MB);
    const hashes = await withHashing((hashing) =>
      Promise.all(
        Array.from({ length: 60 }, async () => {
          const hash = await hashing(MB);
          await hash.update(small);
          return hash.digest();
        }),
      ),
    );
    expect(new Set(hashes)).toEqual(new Set([sha256(small)]));
    expect(started).toEqual([]);
  });

  test.skipIf(threads === 0)("a thread that ends early is an error, not a wait for ever", async () => {
    const hashed = withHashing(async (hashing) => {
      const hash = await hashing(bytes.byteLength);
      await hash.update(bytes.subarray(0, MB));
      await Promise.all(started.map((worker) => worker.terminate()));
      for (let at = MB; at < bytes.byteLength; at += MB) await hash.update(bytes.subarray(at, at + MB));
      return hash.digest();
    });
    await expect(hashed).rejects.toThrow("a thread that hashes has ended");
  });

  test("where threads are refused this one hashes", () => {
    const allowed = process.allowedNodeEnvironmentFlags;
    const flag = allowed.has("--permission") ? "--permission" : "--experimental-permission";
    const program = `
      import { Worker } from "node:worker_threads";
      import { withHashing } from ${JSON.stringify(new URL("../../dist/checkpoint/hash.js", import.meta.url).href)};
      let refused;
      try { new Worker("", { eval: true }); } catch ({ code }) { refused = code; }
      console.log(refused, await withHashing(async (hashing) => {
        const hash = await hashing(${80 * MB});
        for (let i = 0; i < 80; i++) await hash.update(new Uint8Array(${MB}));
        return hash.digest();
      }));`;
    const out = execFileSync(
      process.execPath,
      ["--no-warnings", flag, "--allow-fs-read=*", "--input-type=module", "-e", program],
      { encoding: "utf8" },
    );
    expect(out.trim()).toBe(`ERR_ACCESS_DENIED ${sha256(new Uint8Array(80 * MB))}`);
  });
});

test("a large variable is saved, verified and loaded bit for bit; a changed byte at its end is E_CKPT_HASH", async () => {
  const root = mkdtempSync(join(tmpdir(), "onestep-hash-"));
  try {
    const dir = join(root, "m");
    const big: StoredVariable = { name: "big", dtype: "uint8", shape: [bytes.byteLength], fileName: "out" };
    const tensor: Tensor = { dtype: "uint8", shape: big.shape, data: bytes };
    await saveCheckpoint(dir, [big], async () => tensor, { seed: 1, calls: {} });
    const path = join(dir, "big", "out");
    expect(statSync(path).size).toBe(bytes.byteLength);
    expect(JSON.parse(readFileSync(join(dir, "big", "meta"), "utf8")).sha256).toBe(sha256(bytes));
    const { values } = await planLoad(dir, [big]);
    expect(Buffer.compare(values.get("big")!.data as Uint8Array, bytes)).toBe(0);
    expect((await verifyCheckpoint(dir)).finished).toBe(true);
    // Each of the three has its own threads.
    expect([started.length, ended]).toEqual([3 * threads, 3 * threads]);

    const file = openSync(path, "r+");
    writeSync(file, Uint8Array.of(bytes.at(-1)! ^ 1), 0, 1, bytes.byteLength - 1);
    closeSync(file);
    await expect(planLoad(dir, [big])).rejects.toMatchObject({ code: "E_CKPT_HASH" });
    expect((await verifyCheckpoint(dir)).problems.map(({ code }) => code)).toEqual(["E_CKPT_HASH"]);
    await planLoad(dir, [big], { verify: false });
    writeFileSync(path, bytes.subarray(1));
    await expect(planLoad(dir, [big])).rejects.toMatchObject({ code: "E_CKPT_SIZE" });
    expect(ended).toBe(started.length);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
