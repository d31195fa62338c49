import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { libraries, wheel } from "#src/engines/tensorflow/setup/sources.js";
import { isReady } from "../engines/ready.js";
import { scratch } from "../jobs/support.js";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
function onestep(args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd = scratch()) {
  return spawnSync(process.execPath, [main, ...args], { encoding: "utf8", cwd, env: { ...process.env, ...env } });
}

describe.runIf(process.platform === "linux" && process.arch === "x64")("setup tensorflow", () => {
  test("a dry run tells what it would get, with sums, and touches nothing", () => {
    const cache = scratch();
    const { stdout, stderr, status } = onestep(["setup", "tensorflow", "--dry-run"], { ONESTEP_CACHE: cache });
    for (const word of [wheel.what, wheel.sha256, ...libraries.map(({ sha256 }) => sha256), "nothing was done"])
      expect(stdout).toContain(word);
    expect([stderr, status, readdirSync(cache)]).toEqual(["", 0, []]);
  });

  test("what is missing is listed at once, each with what to do", () => {
    const cache = scratch();
    const { stderr, status } = onestep(["setup", "tensorflow"], {
      ONESTEP_CACHE: cache,
      PYTHON: "no-such-python",
      CXX: "no-such-compiler",
    });
    expect(stderr).toContain("'no-such-python -m pip' does not run: install Python 3 with pip");
    expect(stderr).toContain("'no-such-compiler' does not run: install a C++ compiler");
    expect(stderr).toContain("[E_ENGINE]");
    expect([status, readdirSync(cache)]).toEqual([2, []]);
  });

  test.runIf(isReady("tensorflow"))("where a copy works it says so and does nothing", () => {
    const { stdout, status } = onestep(["setup", "tensorflow"], { PYTHON: "no-such-python" });
    expect(stdout).toMatch(/^TensorFlow \d+\.\d+\.\d+ works: .*tfjs_binding\.node; --force builds it again\n$/);
    expect(status).toBe(0);
  });
});

describe("doctor", () => {
  test("tells of every engine; a missing one with the command that mends it", () => {
    const { stdout, stderr, status } = onestep(["doctor"], { ONESTEP_CACHE: scratch(), ONESTEP_ENGINE: "onnx" });
    expect(stdout).toContain(`Node       ${process.version}`);
    expect(stdout).toMatch(
      /engine onnx \(chosen\): works\n {2}onnxruntime 1\.\d+\.\d+\n {2}found at .*\n {2}\d+ threads?, no GPU/,
    );
    expect(stdout).toMatch(/engine reference: works/);
    expect(stdout).toMatch(
      /engine tensorflow: does not work\n {2}tensorflow: @tensorflow\/tfjs-node is missing; get it with 'npx onestep setup tensorflow'/,
    );
    expect([stderr, status]).toEqual(["", 0]);
  });

  test("fails where the chosen engine does not work", () => {
    const env = { ONESTEP_CACHE: scratch(), ONESTEP_ENGINE: "tensorflow" };
    const { stdout, status } = onestep(["doctor", "--json"], env);
    const { chosen, engines } = JSON.parse(stdout) as { chosen: string; engines: { engine: string; works: boolean }[] };
    expect([chosen, engines.map(({ engine, works }) => `${engine} ${works}`), status]).toEqual([
      "tensorflow",
      ["onnx true", "reference true", "tensorflow false"],
      1,
    ]);
  });

  test("fails where ONESTEP_ENGINE names none", () => {
    const { stdout, status } = onestep(["doctor"], { ONESTEP_CACHE: scratch(), ONESTEP_ENGINE: "tensrflow" });
    expect(stdout).toContain(
      "ONESTEP_ENGINE is 'tensrflow', which is no engine; known are onnx, reference, tensorflow",
    );
    expect(status).toBe(1);
  });

  test.runIf(isReady("tensorflow"))("finds TensorFlow, its version and its place", () => {
    const { stdout, stderr } = onestep(["doctor", "--json"]);
    const { engines } = JSON.parse(stdout) as { engines: Record<string, unknown>[] };
    const found = engines.find(({ engine }) => engine === "tensorflow")!;
    expect(found).toMatchObject({ works: true, gpu: false });
    expect(found.library).toMatch(/^TensorFlow \d+\.\d+\.\d+, by tfjs-node's binding$/);
    expect(existsSync(String(found.where))).toBe(true);
    expect(stderr).toBe("");
  });
});
