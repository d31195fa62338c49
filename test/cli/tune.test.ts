import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test, vi } from "vitest";
import { medianOf, takenByOthers, tune } from "#src/cli/tune.js";
import { difference, lenetOf, openCase, type TuneCase, transformerBlock } from "#src/cli/tune-cases.js";
import type { Engine, EngineOptions } from "#src/engines/engine.js";
import { onnx } from "#src/engines/onnx/engine.js";
import { clearTuning, readTuning, thisMachine, writeTuning } from "#src/engines/onnx/tuning.js";
import { reference } from "#src/engines/reference/engine.js";
import { scratch } from "../jobs/support.js";

const small: TuneCase = { ...transformerBlock, name: "small", input: [2, 4, 8], labels: 8 };

const images = (batch: number): TuneCase => ({ ...lenetOf(batch), input: [batch, 1, 8, 8] });

/** An engine whose results are wrong by a hundredth with some options. */
const spoiled = (isSpoiled: (options: EngineOptions) => boolean, engine: Engine = onnx): Engine => ({
  ...engine,
  open: async (options) => {
    const session = await engine.open(options);
    if (!isSpoiled(options)) return session;
    return new Proxy(session, {
      get: (of, key) => {
        const value = Reflect.get(of, key, of) as unknown;
        if (key === "run")
          return async (...args: Parameters<typeof of.run>) => {
            const results = await of.run(...args);
            return results.map((tensor) => ({ ...tensor, data: (tensor.data as Float32Array).map((x) => x * 1.01) }));
          };
        return typeof value === "function" ? (value as () => unknown).bind(of) : value;
      },
    });
  },
});

/** Tunes for two cores by given figures; also what was said. */
async function tuned(figures: Readonly<Record<string, number>>, engines: readonly Engine[] = [onnx]) {
  const lines: string[] = [];
  const choice = await tune({
    engines,
    reference,
    cases: [small],
    images: { large: images(2), small: images(1) },
    cores: 2,
    measure: async (step, variant) => {
      await step();
      return figures[variant] ?? 10;
    },
    say: (line) => lines.push(line),
  });
  return { choice, text: lines.join("\n") };
}

const blocks = (plain: number, sixteen: number, eight: number) => ({
  "onnx, plain convolutions": plain,
  "onnx, blocks of 16": sixteen,
  "onnx, blocks of 8": eight,
});

describe("the choice", () => {
  test("is the fastest of the right ones, in a table with ratios", async () => {
    const { choice, text } = await tuned({ ...blocks(5, 10, 9.9), "onnx, 1 thread": 4 });
    expect(choice).toEqual({ threads: 1, blockSize: 0 });
    expect(text).toMatch(/small +onnx, 1 thread +4\.000 +0\.40/);
    expect(text).toContain("onnx: 1 thread, plain convolutions");
  });

  test("stays the engine's own where a gain may be noise", async () => {
    const { choice } = await tuned({ ...blocks(9.9, 9.8, 9.9), "onnx, 1 thread": 9.8 });
    expect(choice.threads).toBe(2);
    const { text } = await tuned(blocks(9.9, 9.8, 9.9));
    expect(text).toMatch(/onnx: 2 threads, (convolutions in blocks of|plain)/);
  });

  test("a variant with wrong results is refused, however fast", async () => {
    const figures = { ...blocks(10, 1, 1), "onnx, 1 thread": 1 };
    const wrongBlocks = spoiled(({ blockSize }) => blockSize === 16 || blockSize === 8);
    const { choice, text } = await tuned(figures, [wrongBlocks]);
    expect(choice.blockSize).toBe(0);
    expect(text).toContain("LeNet, batch 2, onnx, blocks of 16: refused, its loss differs");
    expect(text).toMatch(/LeNet, batch 2 +onnx, blocks of 16 +refused +-/);
    const wrongPlain = spoiled(({ blockSize }) => blockSize === 0);
    await expect(tuned(figures, [wrongPlain])).rejects.toThrow(
      /LeNet, batch 1: the onnx engine's plain convolutions do not give the reference engine's results: its loss differs.*\[E_ENGINE\]/,
    );
    // Wrong on one thread alone, but for what is trusted: plain convolutions on one.
    const wrongThread = spoiled(({ blockSize, threads }) => threads === 1 && blockSize !== 0);
    const { choice: left } = await tuned({ ...blocks(100, 10, 11), "onnx, 1 thread": 1 }, [wrongThread]);
    expect(left.threads).toBe(left.blockSize === 0 ? 1 : 2);
  });

  test("engines are compared and named, and a wrong one refused", async () => {
    const other = { ...reference, name: "other" };
    const { text } = await tuned({ other: 1 }, [onnx, other]);
    expect(text).toContain("fastest for small: other");
    const { text: refused } = await tuned({ other: 1 }, [onnx, spoiled(() => true, other)]);
    expect(refused).toContain("small, other: refused, its loss differs");
    expect(refused).toContain("fastest for small: onnx");
  });
});

test("an update that is a tenth off is a difference, as is a loss", async () => {
  const run = await openCase(small, reference, {});
  await run.close();
  expect(difference(run.proof, run.proof)).toBeUndefined();
  const [name, { before, after }] = [...run.proof.variables].find(([key]) => key === "wide-weight")!;
  const data = (after.data as Float32Array).map((x, i) => x + 0.1 * (x - Number(before.data[i])));
  const variables = new Map(run.proof.variables).set(name, { before, after: { ...after, data } as typeof after });
  expect(difference({ ...run.proof, variables }, run.proof)).toBe("its wide-weight differs");
});

test("what other programs took is the machine's time without the process's own, in cores", () => {
  const from = { machine: 1000, own: 100, at: 50 };
  expect(takenByOthers(from, { machine: 3000, own: 1600, at: 1050 })).toBe(0.5);
  expect(takenByOthers(from, { machine: 2500, own: 1610, at: 1050 })).toBe(0);
});

test("the median is of the steps behind those that warm up, by the given clock", async () => {
  const lengths = [900, 900, 1, 7, 100, 3, 2, 400];
  let [now, step] = [0, 0];
  const ms = await medianOf(
    () => {
      now += lengths[step++]!;
      return Promise.resolve();
    },
    () => now,
  );
  expect([ms, step]).toEqual([7, 8]);
});

describe("the kept file", () => {
  const file = (): string => join(scratch(), "onestep", "tune.json");

  test("comes back on the machine that wrote it, until it is cleared", () => {
    const path = file();
    expect(readTuning(path)).toBeUndefined();
    writeTuning({ threads: 1, blockSize: 16 }, path);
    expect(readTuning(path)).toEqual({ threads: 1, blockSize: 16 });
    clearTuning(path);
    expect([readTuning(path), existsSync(path)]).toEqual([undefined, false]);
  });

  test.each([
    ["no JSON", "{", /it is not what tune writes/],
    ["another's", JSON.stringify({ machine: thisMachine(), threads: 0, blockSize: 16 }), /it is not what tune writes/],
    ["without a machine", JSON.stringify({ threads: 1, blockSize: 16 }), /it is not what tune writes/],
    [
      "of another processor",
      JSON.stringify({ machine: { ...thisMachine(), processor: "Z80" }, threads: 1, blockSize: 16 }),
      /it is for processor Z80, here is /,
    ],
    [
      "of another onnxruntime",
      JSON.stringify({ machine: { ...thisMachine(), onnxruntime: "1.0.0" }, threads: 1, blockSize: 16 }),
      /it is for onnxruntime 1\.0\.0, here is /,
    ],
  ])("%s is left aside, with one line", (_, text, why) => {
    const path = file();
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    try {
      expect([readTuning(path), readTuning(path)]).toEqual([undefined, undefined]);
      expect(write.mock.calls.map(([line]) => String(line))).toEqual([expect.stringMatching(why)]);
    } finally {
      write.mockRestore();
    }
  });
});

describe("in a process of its own", () => {
  const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  const onestep = (cache: string, ...args: readonly string[]) =>
    spawnSync(process.execPath, [main, ...args], { encoding: "utf8", env: { ...process.env, ONESTEP_CACHE: cache } });

  test("doctor tells what is kept, the engine uses it, and --clear removes it", () => {
    const cache = scratch();
    const path = join(cache, "tune.json");
    expect(onestep(cache, "doctor").stdout).toContain("onnx is not tuned for this machine: npx onestep tune");
    writeTuning({ threads: 1, blockSize: 0 }, path);
    const { stdout, stderr } = onestep(cache, "doctor", "--json");
    const { engines, tuned } = JSON.parse(stdout) as {
      engines: { engine: string; threads?: number }[];
      tuned: unknown;
    };
    expect(tuned).toEqual({ threads: 1, blockSize: 0, file: path });
    expect([engines.find(({ engine }) => engine === "onnx")!.threads, stderr]).toEqual([1, ""]);
    expect(onestep(cache, "doctor").stdout).toContain("onnx is tuned: 1 thread, plain convolutions");
    expect([onestep(cache, "tune", "--clear").stdout, existsSync(path)]).toEqual([
      `nothing is tuned: ${path} is gone\n`,
      false,
    ]);
  });

  test("the lowering of convolutions follows the file", () => {
    const lowered = (blockSize: number | undefined): boolean => {
      const cache = scratch();
      if (blockSize !== undefined) writeTuning({ threads: 1, blockSize }, join(cache, "tune.json"));
      const source = `
        import * as flow from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
        const job = flow.globalFunction({ name: "job", returns: flow.tp.Numpy }, [flow.tp.Numpy.Placeholder([1, 32, 64, 64])],
          (x) => flow.nn.conv2d(x, flow.constant(1, { dtype: flow.float, shape: [32, 32, 3, 3] }), 1, "SAME"));
        await job(new Float32Array(32 * 64 * 64));`;
      const { status } = spawnSync(process.execPath, ["--input-type=module", "--eval", source], {
        cwd: cache,
        env: { ...process.env, ONESTEP_CACHE: cache, ONESTEP_ENGINE: "onnx", ONESTEP_DEBUG: "3" },
      });
      expect(status).toBe(0);
      return readFileSync(join(cache, "onestep-debug", "job.onnx"), "latin1").includes("com.microsoft.nchwc");
    };
    expect([lowered(0), lowered(16)]).toEqual([false, true]);
  });
});
