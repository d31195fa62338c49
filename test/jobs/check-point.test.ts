import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { verifyCheckpoint } from "#src/checkpoint/verify.js";
import { failure, scratch, tinyImages, tinyJob, tinyLabels } from "./support.js";

let out: string[];
let err: string[];
beforeEach(() => {
  [out, err] = [[], []];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => out.push(String(text)) > 0);
  vi.spyOn(process.stderr, "write").mockImplementation((text) => err.push(String(text)) > 0);
});
afterEach(() => {
  vi.restoreAllMocks();
});

const checkPoint = new flow.train.CheckPoint();
const step = "System-Train-TrainStep-train_job";
const dense = ["dense1-bias", "dense1-weight", "dense2-bias", "dense2-weight"];

/** A trained tiny model saved in a fresh folder; its weights, by file. */
async function trained(): Promise<{ readonly dir: string; readonly job: ReturnType<typeof tinyJob> }> {
  flow.config.seed(7);
  const job = tinyJob({ momentum: 0.9 });
  await checkPoint.init();
  for (let i = 0; i < 3; i++) await job(tinyImages, tinyLabels);
  const dir = join(scratch(), "m");
  await checkPoint.save(dir, { extras: { epoch: 3, best: [0.5, null] } });
  return { dir, job };
}
const weight = (dir: string, name = "dense1-weight"): string => readFileSync(join(dir, name, "out")).toString("hex");

describe.each(["onnx", "reference"])("on %s", (engine) => {
  beforeEach(() => flow.config.engine(engine));

  test("load reports what it did, and gives the extras back", async () => {
    const { dir } = await trained();
    await flow.clearDefaultSession();
    flow.config.engine(engine);
    tinyJob({ name: "other_job" });
    const report = await checkPoint.load(dir);
    expect(report).toEqual({
      loaded: dense,
      initialized: ["System-Train-TrainStep-other_job"],
      unused: [step, ...dense.map((name) => `${name}-momentum`)],
      extras: { epoch: 3, best: [0.5, null] },
      warnings: [],
    });
    expect(out).toEqual([
      `WARNING! CANNOT find variable path in : ${dir}/System-Train-TrainStep-other_job/out. It will be initialized. \n`,
    ]);
    expect((await failure(() => checkPoint.load(dir, { strict: true }))).code).toBe("E_CKPT_STRICT");
    const renamed = { [step]: "System-Train-TrainStep-other_job" };
    const strict = await checkPoint.load(dir, { strict: true, rename: renamed, exclude: ["*-momentum"] });
    expect(strict).toMatchObject({ initialized: [], loaded: ["System-Train-TrainStep-other_job", ...dense] });
  });

  test("an excluded variable is initialised without a line", async () => {
    const { dir } = await trained();
    const first = join(scratch(), "first");
    await checkPoint.init();
    await checkPoint.save(first);
    const report = await checkPoint.load(dir, { exclude: "dense2-*" });
    expect(report.initialized).toEqual([
      ...["dense2-bias", "dense2-bias-momentum", "dense2-weight", "dense2-weight-momentum"],
    ]);
    expect(out).toEqual([]);
    const second = join(scratch(), "second");
    await checkPoint.save(second);
    expect(weight(second)).toBe(weight(dir));
    expect(weight(second, "dense2-weight")).toBe(weight(first, "dense2-weight"));
    expect(weight(second, "dense2-weight")).not.toBe(weight(dir, "dense2-weight"));
  });

  test("dryRun checks all, changes and prints nothing", async () => {
    const { dir, job } = await trained();
    await job(tinyImages, tinyLabels);
    const before = join(scratch(), "before");
    await checkPoint.save(before);
    rmSync(join(dir, "dense2-bias"), { recursive: true });
    rmSync(join(dir, "dense1-bias/out"));
    const report = await checkPoint.load(dir, { dryRun: true });
    expect(report).toMatchObject({
      initialized: ["dense1-bias", "dense2-bias"],
      extras: { epoch: 3, best: [0.5, null] },
    });
    expect(report.warnings).toHaveLength(1);
    expect([out, err]).toEqual([[], []]);
    writeFileSync(join(dir, "dense1-weight/out"), new Uint8Array(128));
    expect((await failure(() => checkPoint.load(dir, { dryRun: true }))).code).toBe("E_CKPT_HASH");
    const after = join(scratch(), "after");
    await checkPoint.save(after);
    for (const name of [...dense, step]) expect(weight(after, name)).toBe(weight(before, name));
    // Nor does it give variables a value.
    await flow.clearDefaultSession();
    flow.config.engine(engine);
    const fresh = tinyJob();
    await checkPoint.load(before, { dryRun: true });
    expect((await failure(() => fresh(tinyImages, tinyLabels))).code).toBe("E_UNINITIALIZED");
  });

  test("a load that fails changes no variable, however far it came", async () => {
    const { dir, job } = await trained();
    await job(tinyImages, tinyLabels);
    const before = join(scratch(), "before");
    await checkPoint.save(before);
    // The last one in order, so that all others were read.
    writeFileSync(join(dir, "dense2-weight-momentum/out"), new Uint8Array(64));
    expect((await failure(() => checkPoint.load(dir))).code).toBe("E_CKPT_HASH");
    const after = join(scratch(), "after");
    await checkPoint.save(after);
    for (const name of readdirSync(before).filter((entry) => existsSync(join(before, entry, "out"))))
      expect(weight(after, name)).toBe(weight(before, name));
    // And training goes on from there as if nothing had been.
    await checkPoint.load(before);
    const expected = await job(tinyImages, tinyLabels);
    await checkPoint.load(before);
    await failure(() => checkPoint.load(dir));
    expect((await job(tinyImages, tinyLabels)).data).toEqual(expected.data);
  });

  test("a background save holds the values of its turn, while steps go on", async () => {
    const { dir: _, job } = await trained();
    const folder = scratch();
    const now = join(folder, "now");
    await checkPoint.save(now);
    const saving = checkPoint.save(join(folder, "background"), { background: true, extras: "here" });
    let done = false;
    void saving.then(() => {
      done = true;
    });
    await job(tinyImages, tinyLabels);
    const later = join(folder, "later");
    const stepsMeanwhile = !done;
    await saving;
    await checkPoint.save(later);
    expect(stepsMeanwhile).toBe(true);
    for (const name of [...dense, step]) expect(weight(join(folder, "background"), name)).toBe(weight(now, name));
    expect(weight(later)).not.toBe(weight(now));
    expect(await verifyCheckpoint(join(folder, "background"))).toMatchObject({
      finished: true,
      state: { extras: "here" },
    });
    expect(err).toEqual([]);
  });
});

test("background saves are written one at a time; the second says that it waits", async () => {
  const { job } = await trained();
  const folder = scratch();
  const order: string[] = [];
  const save = (name: string) =>
    checkPoint.save(join(folder, name), { background: true }).then(
      () => order.push(name),
      (error: flow.FlowError) => order.push(`${name} ${error.code}`),
    );
  const saves = [save("a"), save("b"), save("b")];
  const trainedAfter = job(tinyImages, tinyLabels).then(() => order.push("step"));
  await Promise.all([...saves, trainedAfter]);
  // The step was asked for last, and waited with the third save for the second.
  expect(order[0]).toBe("a");
  expect(order).toContain("b E_CKPT_EXISTS");
  expect(order.indexOf("b")).toBeLessThan(order.indexOf("step"));
  expect(err).toEqual(
    ["b", "b"].map(
      (name) =>
        `checkPoint.save('${join(folder, name)}'): waits until the background save before it is written; job calls wait with it\n`,
    ),
  );
  expect(readdirSync(folder).sort()).toEqual(["a", "b"]);
});

test("a background save refuses an occupied path before it copies, and a failed one does not block the next", async () => {
  const { dir } = await trained();
  expect((await failure(() => checkPoint.save(dir, { background: true }))).code).toBe("E_CKPT_EXISTS");
  const folder = scratch();
  mkdirSync(join(folder, "parent"));
  await checkPoint.save(join(folder, "parent", "m"), { background: true });
  expect((await failure(() => checkPoint.save(join(folder, "none", "m"), { background: true }))).code).toBe(
    "E_CKPT_DIR",
  );
  await checkPoint.save(join(folder, "m"), { background: true });
  expect(err).toEqual([]);
});

test("extras are checked at the call, and copied there", async () => {
  const { dir } = await trained();
  const path = join(dir, "../x");
  const cyclic: { self?: unknown } = {};
  cyclic.self = { inner: [cyclic] };
  const refused: readonly (readonly [unknown, string])[] = [
    [Number.NaN, "extras is NaN, expected JSON"],
    [{ a: [1, { b: undefined }] }, "extras.a[1].b is undefined"],
    [{ when: new Date(0) }, "extras.when is a Date"],
    [{ weights: new Float32Array(2) }, "extras.weights is a Float32Array"],
    [new Map(), "extras is a Map"],
    [[1n], "extras[0] is the bigint 1"],
    [{ f: () => 1 }, "extras.f is a function"],
    [Symbol("s"), "extras is the symbol Symbol(s)"],
    [cyclic, "extras.self.inner[0] is one of the objects that contain it"],
    [{ toJSON: 1, x: { toJSON: () => 1 } }, "extras.x is an object with a toJSON method"],
    // biome-ignore lint/suspicious/noSparseArray: what is left out counts
    [[1, , 2], "extras[1] is undefined"],
    ["x".repeat(1 << 20), "extras take 1048578 bytes of JSON, expected at most 1048576"],
    [Array.from({ length: 101 }).reduce((inner) => [inner], 0), "is more than 100 levels deep"],
  ];
  for (const [extras, message] of refused)
    expect((await failure(() => checkPoint.save(path, { extras: extras as null }))).message).toContain(message);
  expect(existsSync(path)).toBe(false);
  const mine = { list: [1] };
  const saving = checkPoint.save(path, { extras: mine });
  mine.list.push(2);
  await saving;
  expect((await checkPoint.load(path, { dryRun: true })).extras).toEqual({ list: [1] });
});

test("mistyped options are named", async () => {
  const { dir } = await trained();
  const message = async (task: () => unknown) => (await failure(task)).message;
  expect(await message(() => checkPoint.load(dir, { dryrun: true } as object))).toContain("did you mean 'dryRun'?");
  expect(await message(() => checkPoint.load(dir, { exlude: "x" } as object))).toContain("did you mean 'exclude'?");
  expect(await message(() => checkPoint.save(dir, { extra: 1 } as object))).toContain("did you mean 'extras'?");
  expect(await message(() => checkPoint.load(dir, { strict: 1 as unknown as boolean }))).toContain(
    "strict is 1, expected true or false",
  );
  expect(await message(() => checkPoint.save(dir, { background: "yes" as unknown as boolean }))).toContain(
    "background is 'yes'",
  );
  expect(await message(() => checkPoint.load("a\0b"))).toContain("the path has a NUL in it");
});
