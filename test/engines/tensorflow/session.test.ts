import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { bindingFile, candidates, libraryFile } from "#src/engines/tensorflow/session/tfjs-node.js";
import { scratch } from "../../jobs/support.js";
import { isReady } from "../ready.js";

const onestep = JSON.stringify(new URL("../../../dist/index.js", import.meta.url).href);
const program = `
  import * as flow from ${onestep};
  const job = flow.globalFunction({ name: "job", returns: flow.tp.Numpy }, [flow.tp.Numpy.Placeholder([2])], (x) => x.add(1));
  try {
    console.log((await job([1, 2])).toArray().join());
  } catch (error) {
    console.log(error.message);
  }`;

/** Runs the program in a process of its own, in a folder where nothing is installed. */
function run(env: Readonly<Record<string, string>>, source = program) {
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--input-type=module", "--eval", source], {
    encoding: "utf8",
    cwd: scratch(),
    env: { ...process.env, ONESTEP_ENGINE: "tensorflow", ...env },
  });
  return { stdout: stdout.trim(), stderr, status };
}

/** A cache folder with a tfjs-node of these files. */
function cacheWith(files: Readonly<Record<string, string>>): string {
  const cache = scratch();
  const folder = join(cache, "tensorflow", "node_modules", "@tensorflow", "tfjs-node");
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return cache;
}

test("without tfjs-node the one error says that it is missing, and what gets it", () => {
  const { stdout, stderr, status } = run({ ONESTEP_CACHE: scratch() });
  expect(stdout).toBe(
    "tensorflow: @tensorflow/tfjs-node is missing; get it with 'npx onestep setup tensorflow' [E_ENGINE]",
  );
  expect([stderr, status]).toEqual(["", 0]);
});

test("a tfjs-node whose install script did not run is called broken", () => {
  const { stdout } = run({ ONESTEP_CACHE: cacheWith({ "package.json": "{}" }) });
  expect(stdout).toMatch(
    /^tensorflow: @tensorflow\/tfjs-node is broken: .* has no .*tfjs_binding.node, since its install script did not run or failed; mend it with 'npx onestep setup tensorflow' \[E_ENGINE\]$/,
  );
});

test("a library that does not load is called broken, with the reason", () => {
  const files = { "package.json": "{}", [bindingFile]: "", [libraryFile]: "no library" };
  const { stdout } = run({ ONESTEP_CACHE: cacheWith(files) });
  expect(stdout).toMatch(
    /^tensorflow: @tensorflow\/tfjs-node is broken: .*libtensorflow.* does not load: .*; mend it with 'npx onestep setup tensorflow' \[E_ENGINE\]$/s,
  );
});

describe.skipIf(!isReady("tensorflow"))("in a process of its own", () => {
  test("a program runs and ends, with nothing of TensorFlow's on the terminal", () => {
    expect(run({})).toEqual({ stdout: "2,3", stderr: "", status: 0 });
  });

  test("what the program itself writes to standard error meanwhile is kept, and its environment is as before", () => {
    const noisy = `process.stderr.write("mine\\n"); setTimeout(() => process.stderr.write("late\\n"), 50);${program}
      console.log(String(process.env.TF_CPP_MIN_LOG_LEVEL));`;
    const { stdout, stderr, status } = run({}, noisy);
    expect([stdout, stderr, status]).toEqual(["2,3\nundefined", "mine\nlate\n", 0]);
  });

  test("process.exit after a step ends the process as asked", () => {
    expect(run({}, `${program}\nprocess.exit(3);`)).toEqual({ stdout: "2,3", stderr: "", status: 3 });
  });

  test("process.exit while steps run and wait ends the process as asked", () => {
    for (const delay of [0, 3]) {
      const early = `${program}\nsetTimeout(() => process.exit(3), ${delay});\nfor (;;) await Promise.all([job([1, 2]), job([3, 4])]);`;
      expect(run({}, early)).toEqual({ stdout: "2,3", stderr: "", status: 3 });
    }
  });

  // Which libraries the process has mapped, even in part, says how far loading is.
  describe.skipIf(process.platform !== "linux")("while the library loads", () => {
    const when = (file: string, action: string) => `
      import { readFileSync } from "node:fs";
      const poll = () => {
        if (readFileSync("/proc/self/maps", "latin1").includes("${file}")) { ${action} }
        setImmediate(poll);
      };
      poll();`;

    test("process.exit ends the process as asked", () => {
      // The library goes on loading on another thread, and the end of the process must wait for it.
      for (const file of ["koffi.node", "libtensorflow_framework", "libtensorflow_framework", "libtensorflow"])
        expect(run({}, `${when(file, "process.exit(3);")}${program}`)).toEqual({ stdout: "", stderr: "", status: 3 });
    });

    test("an error that nobody catches is printed", () => {
      const { stderr, status } = run({}, `${when("libtensorflow", "throw new Error('mine');")}${program}`);
      expect(stderr).toContain("Error: mine");
      expect([stderr.includes("oneDNN"), status]).toEqual([false, 1]);
    });

    test("a thread of the program's own can be ended, and standard error is as before", () => {
      const source = `
        import { Worker } from "node:worker_threads";
        const worker = new Worker(new URL("data:text/javascript," + encodeURIComponent(${JSON.stringify(program)})));
        ${when("libtensorflow", "return worker.terminate().then(() => process.stderr.write('mine'));")}`;
      const { stdout, stderr, status } = run({}, source);
      expect([stdout, status]).toEqual(["", 0]);
      expect(stderr).toMatch(/mine$/);
    });
  });

  test("a broken copy in the program's folder gives way to one that works", () => {
    const [works] = candidates().filter(({ built }) => built);
    expect(works).toBeDefined();
    const source = `
      import { mkdirSync, writeFileSync } from "node:fs";
      import { dirname } from "node:path";
      for (const file of ["package.json", ...${JSON.stringify([bindingFile, libraryFile])}]) {
        mkdirSync(dirname("node_modules/@tensorflow/tfjs-node/" + file), { recursive: true });
        writeFileSync("node_modules/@tensorflow/tfjs-node/" + file, file === "package.json" ? "{}" : "no library");
      }
      ${program.replace("import * as flow from", "const flow = await import(").replace('js";', 'js");')}`;
    expect(run({}, source)).toEqual({ stdout: "2,3", stderr: "", status: 0 });
  });
});
