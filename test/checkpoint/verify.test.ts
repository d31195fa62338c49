import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { planLoad } from "#src/checkpoint/read.js";
import { acceptCheckpoint, verifyCheckpoint } from "#src/checkpoint/verify.js";
import { type StoredVariable, saveCheckpoint } from "#src/checkpoint/write.js";
import type { Tensor } from "#src/core/tensor.js";

let root: string;
let dir: string;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "onestep-verify-"));
  dir = join(root, "m");
  await saveCheckpoint(dir, variables, async () => tensor, { seed: 5, calls: { job: 2 }, extras: { epoch: 1 } });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const variables: readonly StoredVariable[] = [
  { name: "a", dtype: "float32", shape: [2], fileName: "out" },
  { name: "b", dtype: "float32", shape: [2], fileName: "w.bin" },
];
const tensor: Tensor = { dtype: "float32", shape: [2], data: new Float32Array([1, 2]) };
const edited = (file: string) => writeFileSync(join(dir, file), new Float32Array([1, 3]));

test("a whole checkpoint: every variable with its type and hash, and the state", async () => {
  const report = await verifyCheckpoint(dir);
  expect(report).toMatchObject({
    marked: true,
    finished: true,
    problems: [],
    state: { seed: 5, extras: { epoch: 1 } },
  });
  expect(
    report.variables.map(({ name, fileName, bytes, meta }) => [name, fileName, bytes, meta?.dtype, meta?.shape]),
  ).toEqual([
    ["a", "out", 8, "float32", [2]],
    ["b", "w.bin", 8, "float32", [2]],
  ]);
  expect(report.variables[0]!.sha256).toBe(report.variables[0]!.meta!.sha256);
});

test("everything that is wrong is in the report", async () => {
  edited("a/out");
  writeFileSync(join(dir, "b/w.bin"), "");
  writeFileSync(join(dir, "onestep.json"), "{");
  const { problems, finished, state } = await verifyCheckpoint(dir);
  expect(problems.map(({ code }) => code)).toEqual(["E_CKPT_META", "E_CKPT_HASH", "E_CKPT_SIZE"]);
  expect(problems[1]!.message).toMatch(
    /has sha256 [0-9a-f]{64}, .* says [0-9a-f]{64}: .*\? onestep verify --accept .*m \[/,
  );
  expect([finished, state]).toEqual([false, undefined]);
});

test("elements that are gone, and several files where one is expected", async () => {
  rmSync(join(dir, "a/out"));
  writeFileSync(join(dir, "b/other"), "");
  const { problems } = await verifyCheckpoint(dir);
  expect(problems.map(({ code }) => code)).toEqual(["E_CKPT_SIZE", "E_CKPT_SIZE"]);
  expect(problems[0]!.message).toContain("'a' has a 'meta', but not one file of elements beside it");
});

test("finished: marked, or every variable vouched for", async () => {
  rmSync(join(dir, "snapshot_done"), { recursive: true });
  expect(await verifyCheckpoint(dir)).toMatchObject({ marked: false, finished: true });
  rmSync(join(dir, "a/meta"));
  expect(await verifyCheckpoint(dir)).toMatchObject({ marked: false, finished: false, problems: [] });
  writeFileSync(join(dir, "snapshot_done"), "");
  expect(await verifyCheckpoint(dir)).toMatchObject({ marked: true, finished: true });
});

test("what is no checkpoint is thrown", async () => {
  mkdirSync(join(root, "empty"));
  for (const path of [join(root, "empty"), join(root, "none"), join(dir, "onestep.json"), "a\0b"])
    await expect(verifyCheckpoint(path)).rejects.toMatchObject({ code: "E_CKPT_DIR" });
  const half = join(root, ".m.0123abcd-1-00112233aabb.saving");
  renameSync(dir, half);
  await expect(verifyCheckpoint(half)).rejects.toThrow("what an interrupted save left behind");
  await expect(acceptCheckpoint(half)).rejects.toMatchObject({ code: "E_CKPT_DIR" });
});

test("accept makes meta fit what was changed on purpose, and nothing else", async () => {
  edited("b/w.bin");
  const state = join(dir, "onestep.json");
  writeFileSync(state, readFileSync(state, "utf8").replace('"seed":5', '"seed":6'));
  await expect(planLoad(dir, variables)).rejects.toMatchObject({ code: "E_CKPT_HASH" });
  const before = readFileSync(join(dir, "a/meta"), "utf8");
  expect(await acceptCheckpoint(dir)).toEqual(["b", "onestep.json"]);
  const plan = await planLoad(dir, variables);
  expect(plan.values.get("b")!.data).toEqual(new Float32Array([1, 3]));
  expect(plan.state).toEqual({ seed: 6, calls: { job: 2 }, extras: { epoch: 1 } });
  expect(readFileSync(join(dir, "a/meta"), "utf8")).toBe(before);
  expect(readdirSync(join(dir, "b")).sort()).toEqual(["meta", "w.bin"]);
  expect(await acceptCheckpoint(dir)).toEqual([]);
});

test("accept changes nothing where more than a hash is wrong", async () => {
  edited("b/w.bin");
  writeFileSync(join(dir, "a/out"), "xyz");
  const before = readFileSync(join(dir, "b/meta"), "utf8");
  await expect(acceptCheckpoint(dir)).rejects.toMatchObject({ code: "E_CKPT_SIZE" });
  expect(readFileSync(join(dir, "b/meta"), "utf8")).toBe(before);
});
