import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test, vi } from "vitest";
import { isReady } from "../engines/ready.js";
import { hashOf, runProgram } from "./programs/run.js";
import type { Plan } from "./programs/train.js";
import { failure, scratch } from "./support.js";

const N = 10;

/** The step numbers and lines of a run: they must be those of the run that never stopped. */
const numbered = (lines: readonly string[]): Map<number, string> =>
  new Map(lines.map((line) => [Number(line.split(" ")[0]), line]));

for (const [engine, optimizer, source] of [
  ["onnx", "sgd", "arrays"],
  ["onnx", "momentum", "indexed"],
  ["onnx", "adam", "stream"],
  ["onnx", "adam", "arrays"],
  ["reference", "momentum", "stream"],
  ["tensorflow", "sgd", "indexed"],
  ["tensorflow", "momentum", "stream"],
  ["tensorflow", "adam", "arrays"],
] as const)
  test.runIf(isReady(engine))(
    `${engine}, ${optimizer}, ${source}, dropout, shuffled: 2N steps; N + a new process + N; killed twice: the same bits`,
    async () => {
      const folder = scratch();
      const plan = (more: Partial<Plan>): Plan => ({
        engine,
        optimizer,
        source,
        seed: 7,
        steps: 2 * N,
        final: join(folder, `final-${Math.random()}`),
        ...more,
      });
      const run = async (more: Partial<Plan>, watch?: Parameters<typeof runProgram>[2]) => {
        const whole = plan(more);
        return { ...(await runProgram("train", whole, watch)), final: whole.final };
      };

      const straight = await run({});
      expect([straight.stderr, straight.code]).toEqual(["", 0]);
      expect(straight.lines).toHaveLength(2 * N);
      const hash = hashOf(straight.final);

      const parted = join(folder, "parted");
      const first = await run({ root: parted, steps: N, saveEvery: N });
      expect([first.stderr, first.lines]).toEqual(["", straight.lines.slice(0, N)]);
      const second = await run({ root: parted });
      expect([second.stderr, second.lines]).toEqual(["", straight.lines.slice(N)]);
      expect(hashOf(second.final)).toBe(hash);

      // Killed where it stands, twice, some steps behind its last save.
      const killed = join(folder, "killed");
      const seen: number[] = [];
      for (const at of [5, N + 4]) {
        const part = await run({ root: killed, saveEvery: 3 }, (line, child) => {
          if (line.startsWith(`${at} `)) child.kill("SIGKILL");
        });
        expect(part.signal).toBe("SIGKILL");
        for (const [step, line] of numbered(part.lines)) expect(line).toBe(straight.lines[step - 1]);
        seen.push(Number(part.lines[0]!.split(" ")[0]));
      }
      const rest = await run({ root: killed, saveEvery: 3 });
      expect(rest.code).toBe(0);
      for (const [step, line] of numbered(rest.lines)) expect(line).toBe(straight.lines[step - 1]);
      seen.push(Number(rest.lines[0]!.split(" ")[0]));
      // They did start over from a save, not from the beginning and not from the kill.
      expect([seen[0], seen[1]! % 3, seen[2]! % 3]).toEqual([1, 1, 1]);
      expect(seen[1]!).toBeGreaterThan(1);
      expect(seen[2]!).toBeGreaterThan(seen[1]!);
      expect(hashOf(rest.final)).toBe(hash);

      if (source === "arrays" && optimizer === "adam") {
        expect(hashOf((await run({ seed: 8 })).final)).not.toBe(hash);
        // A resume whose program sets another seed: the data order is the stored one, dropout is not.
        const parted2 = join(folder, "parted2");
        await run({ root: parted2, steps: N, saveEvery: N });
        const other = await run({ root: parted2, seed: 8 });
        expect(other.lines.map((line) => line.split(" ")[2])).toEqual(
          straight.lines.slice(N).map((line) => line.split(" ")[2]),
        );
        expect(hashOf(other.final)).not.toBe(hash);
      }
    },
    120_000,
  );

test("killed at ten random moments, saving after each step: the same bits as a run never stopped", async () => {
  const folder = scratch();
  const plan: Plan = {
    engine: "onnx",
    optimizer: "adam",
    source: "arrays",
    seed: 7,
    steps: 60,
    final: join(folder, "a"),
  };
  const straight = await runProgram("train", plan);
  let kills = 0;
  for (let attempt = 0; kills < 10 && attempt < 12; attempt++) {
    const at = 1 + Math.floor(Math.random() * 5);
    const delay = Math.random() * 12;
    let lines = 0;
    const part = await runProgram("train", { ...plan, root: join(folder, "root"), saveEvery: 1 }, async (_, child) => {
      if (++lines !== at) return;
      await new Promise((resolve) => setTimeout(resolve, delay));
      child.kill("SIGKILL");
    });
    if (part.signal === "SIGKILL") kills++;
    for (const [step, line] of numbered(part.lines)) expect(line).toBe(straight.lines[step - 1]);
    expect(part.stderr).toBe("");
  }
  expect(kills).toBeGreaterThan(4);
  const rest = await runProgram("train", { ...plan, root: join(folder, "root"), final: join(folder, "b") });
  expect([rest.code, rest.stderr]).toEqual([0, ""]);
  for (const [step, line] of numbered(rest.lines)) expect(line).toBe(straight.lines[step - 1]);
  expect(hashOf(join(folder, "b"))).toBe(hashOf(join(folder, "a")));
}, 120_000);

const images = new flow.NdArray<"float32">(
  Float32Array.from({ length: 44 }, (_, i) => Math.sin(i * i)),
  [11, 4],
);
const labels = Int32Array.from({ length: 11 }, (_, i) => i % 2);
const { CheckPoint } = flow.train;

/** A fresh session with a dropout job and a shuffled source. */
async function fresh(engine: string, seed: number | undefined, options: Partial<flow.data.BatchOptions> = {}) {
  await flow.clearDefaultSession();
  flow.config.engine(engine);
  if (seed !== undefined) flow.config.seed(seed);
  const job = flow.globalFunction(
    { type: "train", name: "train_job", returns: tp.Numpy },
    [tp.Numpy.Placeholder([3, 4]), tp.Numpy.Placeholder([3], { dtype: flow.int32 })],
    (x, y) => {
      const hidden = flow.layers.dense(x, 5, { kernelInitializer: flow.truncatedNormal(0.5), name: "dense1" });
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(y, flow.nn.dropout(hidden, 0.5, { name: "drop" }));
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1]), { momentum: 0.9 }).minimize(
        loss,
      );
      return loss;
    },
  );
  const make = () =>
    flow.data.batches([images, labels], { batchSize: 3, shuffle: true, lastBatch: "pad", epochs: 3, ...options });
  return { job, make };
}

/** Runs to the end; gives what each step saw and lost, and saves after step `at`. */
async function run(
  { job, make }: Awaited<ReturnType<typeof fresh>>,
  source = make(),
  at = -1,
  path = "",
): Promise<string[]> {
  const seen: string[] = [];
  for await (const [x, y] of source) {
    const loss = await job(x, y);
    seen.push(`${y.data.join("")} ${Array.from(x.data).join()} ${Array.from(loss.data as Float32Array).join()}`);
    if (seen.length === at) await new CheckPoint().save(path);
  }
  return seen;
}

for (const engine of ["onnx", "reference", "tensorflow"])
  test.runIf(isReady(engine))(
    `${engine}: stopped after any step of three epochs, also where the source is made after the load, without a seed of the program`,
    async () => {
      const folder = scratch();
      for (let at = 1; at <= 12; at++) {
        const path = join(folder, `at${at}`);
        const first = await fresh(engine, undefined);
        await new CheckPoint().init();
        const whole = await run(first, first.make(), at, path);
        expect(whole).toHaveLength(12);
        const again = await fresh(engine, undefined);
        const before = at % 2 === 0 ? again.make() : undefined;
        await new CheckPoint().load(path);
        expect(await run(again, before ?? again.make())).toEqual(whole.slice(at));
      }
    },
    120_000,
  );

test("the position is that of the call of save, in the background too, and of steps that were not awaited", async () => {
  const folder = scratch();
  const first = await fresh("reference", 5);
  await new CheckPoint().init();
  const source = first.make();
  const losses: Promise<flow.NdArray>[] = [];
  const saves: Promise<void>[] = [];
  for (const [x, y] of source) {
    losses.push(first.job(x, y));
    if (losses.length === 5) saves.push(new CheckPoint().save(join(folder, "a"), { background: true }));
  }
  const all = (await Promise.all(losses)).map((loss) => loss.toArray());
  await Promise.all(saves);
  const again = await fresh("reference", undefined);
  const rest = again.make();
  await new CheckPoint().load(join(folder, "a"));
  expect([rest.epoch, rest.offset]).toEqual([1, 1]);
  const more: unknown[] = [];
  for (const [x, y] of rest) more.push((await again.job(x, y)).toArray());
  expect(more).toEqual(all.slice(5));
});

const stateOf = (path: string): { data?: Record<string, flow.data.BatchState> } =>
  JSON.parse(readFileSync(join(path, "onestep.json"), "utf8"));

test("names: by order, given, null; doubles are refused; a closed source leaves checkpoints", async () => {
  const path = scratch();
  const { make } = await fresh("reference", 1);
  const [a, b, c] = [make(), make(), make()];
  expect([a.name, b.name, c.name]).toEqual(["batches_0", "batches_1", "batches_2"]);
  const options = { batchSize: 11 };
  flow.data.batches(labels, { ...options, name: "test" });
  flow.data.batches(labels, { ...options, name: null });
  expect((await failure(() => flow.data.batches(labels, { ...options, name: "test" }))).code).toBe("E_DUPLICATE");
  await b.close();
  await new CheckPoint().init();
  await new CheckPoint().save(join(path, "m"));
  expect(Object.keys(stateOf(join(path, "m")).data!)).toEqual(["batches_0", "batches_2", "test"]);
  expect(stateOf(join(path, "m")).data!.test).toEqual({
    kind: "arrays",
    epoch: 0,
    offset: 0,
    seed: expect.any(Number),
    length: 11,
    batchSize: 11,
    lastBatch: "keep",
    shuffle: false,
    shuffleBuffer: 0,
    shard: [0, 1],
  });
  await fresh("reference", 1);
  await new CheckPoint().init();
  await new CheckPoint().save(join(path, "none"));
  expect(stateOf(join(path, "none")).data).toBeUndefined();
});

test("a source that differs is refused before anything changes, at the load or where it is made later", async () => {
  const path = join(scratch(), "m");
  const first = await fresh("reference", 5);
  await new CheckPoint().init();
  await run(first, first.make(), 4, path);

  const other = await fresh("reference", 6, { batchSize: 3, shuffle: false });
  const source = other.make();
  await new CheckPoint().init();
  const twin = join(path, "..", "twin");
  const error = await failure(() => new CheckPoint().load(path));
  expect(error.code).toBe("E_DATA");
  expect(error.message).toMatch(
    /'batches_0': the stored position has shuffle true, this source false.*another \{ name \} or load with \{ resume: false \}/,
  );
  expect((await failure(() => new CheckPoint().load(path, { dryRun: true }))).code).toBe("E_DATA");
  await new CheckPoint().save(twin);
  expect([source.epoch, source.offset]).toEqual([0, 0]);
  const untouched = await fresh("reference", 6, { batchSize: 3, shuffle: false });
  untouched.make();
  await new CheckPoint().init();
  await new CheckPoint().save(join(path, "..", "init"));
  expect(hashOf(twin)).toBe(hashOf(join(path, "..", "init")));

  const later = await fresh("reference", undefined, { lastBatch: "drop" });
  await new CheckPoint().load(path);
  expect((await failure(() => later.make())).message).toMatch(/has lastBatch "pad", this source "drop"/);
  // Its position is not lost: a save carries it on until a source takes it.
  const carried = join(path, "..", "carried");
  await new CheckPoint().save(carried);
  expect(stateOf(carried).data).toEqual(stateOf(path).data);
  const renamed = flow.data.batches([images, labels], { batchSize: 3, lastBatch: "drop", name: "finetune" });
  expect([renamed.epoch, renamed.offset]).toEqual([0, 0]);
});

test("resume: false takes values alone; a finished run that is resumed says why it makes no step", async () => {
  const path = join(scratch(), "m");
  const first = await fresh("reference", 5);
  await new CheckPoint().init();
  const whole = await run(first);
  await new CheckPoint().save(path);

  const again = await fresh("reference", undefined);
  const source = again.make();
  await new CheckPoint().load(path);
  const told = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  expect(await run(again, source)).toEqual([]);
  expect(await run(again, source)).toEqual([]);
  expect(told.mock.calls.map(([text]) => text)).toEqual([
    expect.stringMatching(/'batches_0': no batches: the restored position is behind epoch 3 of 3; .*resume: false/),
  ]);
  told.mockRestore();

  // The same seed, and as many calls made: order and dropout are those of the first run, from its last weights.
  const tuned = await fresh("reference", 5);
  const anew = tuned.make();
  await new CheckPoint().load(path, { resume: false });
  const order = (lines: readonly string[]): string[] => lines.map((line) => line.split(" ").slice(0, 2).join());
  const second = await run(tuned, anew);
  expect(order(second)).toEqual(order(whole));
  expect(second).not.toEqual(whole);
});

test("damaged positions are errors", async () => {
  const path = join(scratch(), "m");
  const first = await fresh("reference", 5);
  first.make();
  await new CheckPoint().init();
  await new CheckPoint().save(path);
  const { sha256: _, ...state } = JSON.parse(readFileSync(join(path, "onestep.json"), "utf8"));
  for (const [data, code] of [
    [7, "E_CKPT_META"],
    [{ batches_0: 7 }, "E_DATA"],
    [{ batches_0: { ...state.data.batches_0, offset: 5 } }, "E_DATA"],
    [{ batches_0: { ...state.data.batches_0, offset: 1.5 } }, "E_DATA"],
  ] as const) {
    writeFileSync(join(path, "onestep.json"), JSON.stringify({ ...state, data }));
    const again = await fresh("reference", 5);
    again.make();
    expect((await failure(() => new CheckPoint().load(path))).code).toBe(code);
  }
});

test("config.seed behind the first batches is an error: they would be of another seed", async () => {
  const { make } = await fresh("reference", undefined);
  const source = make();
  for (const _ of source) break;
  expect((await failure(() => flow.config.seed(3))).message).toMatch(/have used the seed; set it before/);
  expect(readdirSync(scratch())).toEqual([]);
});
