import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
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

  test("a missing tar and a full disk are among it", () => {
    // No file system is as full as this one.
    const env = { ONESTEP_CACHE: "/proc/onestep", PATH: scratch() };
    for (const args of [[], ["--dry-run"]]) {
      const { stdout, stderr, status } = onestep(["setup", "tensorflow", ...args], env);
      expect(stderr).toContain("'tar' does not run: install it (apt install tar)");
      expect(stderr).toContain(
        "/proc has 0 MB free, 1300 are needed: make room, or set ONESTEP_CACHE to another folder",
      );
      expect([stdout.includes("nothing is missing"), status]).toEqual([false, 2]);
    }
  });

  /** A folder of programs where npm does this. */
  function withNpm(script: string): string {
    const folder = scratch();
    writeFileSync(join(folder, "npm"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return `${folder}${delimiter}${process.env.PATH}`;
  }

  test("what a registry gives is checked, and nothing of a set-up that fails is left", () => {
    const cache = scratch();
    // npm pack ... --pack-destination FOLDER NAME
    const PATH = withNpm('echo other > "$5/tensorflow-tfjs-node-4.22.0.tgz"');
    const { stdout, stderr, status } = onestep(["setup", "tensorflow"], { ONESTEP_CACHE: cache, PATH });
    expect(stdout).toContain("downloading @tensorflow/tfjs-node@4.22.0");
    expect(stderr).toMatch(
      /setup tensorflow: @tensorflow\/tfjs-node@4\.22\.0 is not what this version of onestep knows: sha256 [0-9a-f]{64}, expected [0-9a-f]{64}; .*\[E_ENGINE\]/,
    );
    expect([status, readdirSync(cache)]).toEqual([2, []]);
  });

  test("a registry that is out of reach is told in its own words; an earlier copy stays", () => {
    const cache = scratch();
    mkdirSync(join(cache, "tensorflow"));
    writeFileSync(join(cache, "tensorflow", "earlier"), "");
    const PATH = withNpm("echo 'npm error network request failed' >&2; exit 1");
    const { stderr, status } = onestep(["setup", "tensorflow"], { ONESTEP_CACHE: cache, PATH });
    expect(stderr).toMatch(/'npm pack .*' ended with code 1: npm error network request failed.*\[E_ENGINE\]/);
    expect([status, readdirSync(cache), readdirSync(join(cache, "tensorflow"))]).toEqual([
      2,
      ["tensorflow"],
      ["earlier"],
    ]);
  });

  test.runIf(isReady("tensorflow"))("where a copy works it says so and does nothing", () => {
    const { stdout, status } = onestep(["setup", "tensorflow"], { PYTHON: "no-such-python" });
    expect(stdout).toMatch(/^TensorFlow \d+\.\d+\.\d+ works: .*tfjs_binding\.node; --force builds it again\n$/);
    expect(status).toBe(0);
  });
});

test("npm install neither needs tfjs-node nor runs a script for it", () => {
  const read = (path: string): unknown => JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), "utf8"));
  const name = "@tensorflow/tfjs-node";
  const manifest = read("package.json") as Record<string, Record<string, unknown> | undefined>;
  for (const kind of ["dependencies", "devDependencies", "optionalDependencies"])
    expect(Object.keys(manifest[kind] ?? {})).not.toContain(name);
  // npm installs no optional peers, and the lock file holds what npm install gets.
  expect([manifest.peerDependencies![name], manifest.peerDependenciesMeta![name]]).toEqual([
    "^4.22.0",
    { optional: true },
  ]);
  const { packages } = read("package-lock.json") as { packages: Record<string, { hasInstallScript?: boolean }> };
  const installed = Object.entries(packages).filter(([path]) => path.includes("@tensorflow/"));
  expect(installed).toEqual([]);
  for (const script of ["preinstall", "install", "postinstall"]) expect(manifest.scripts).not.toHaveProperty(script);
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

  test("tells a broken tfjs-node from a missing one, with its place and the command that mends it", () => {
    const cache = scratch();
    const folder = join(cache, "tensorflow", "node_modules", "@tensorflow", "tfjs-node");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), "{}");
    const { stdout } = onestep(["doctor"], { ONESTEP_CACHE: cache });
    expect(stdout).toContain(
      `engine tensorflow: does not work\n  tensorflow: @tensorflow/tfjs-node is broken: ${folder} has no`,
    );
    expect(stdout).toContain("mend it with 'npx onestep setup tensorflow'");
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
    expect(found.library).toMatch(/^TensorFlow \d+\.\d+\.\d+, tfjs-node's library$/);
    expect(existsSync(String(found.where))).toBe(true);
    expect(stderr).toBe("");
  });
});
