// node test/interop/run.mjs: Python's safetensors, numpy, onnx, onnxruntime and tensorflow, plain tfjs-node and Netron read what onestep
// writes, and Python the other way round. Makes .venv with the packages of requirements.txt; PYTHON names the interpreter to make it with.
// Wants `npm run build` and `onestep setup tensorflow`.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const here = join(root, "test", "interop");
const venv = join(root, ".venv");
const python = join(venv, ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]));
const folder = mkdtempSync(join(tmpdir(), "onestep-interop-"));
let [passed, failed] = [0, 0];

function run(command, args, { cwd = root, env = {} } = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (error !== undefined) throw error;
  return { status, stdout, stderr };
}

function must(command, args, options) {
  const { status, stdout, stderr } = run(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: exit code ${status}\n${stdout}\n${stderr}`);
  return stdout.trim();
}

/** Runs a program whose last line counts its own checks. */
function counted(command, args, options) {
  const { status, stdout, stderr } = run(command, args, options);
  const counts = /(\d+) passed, (\d+) failed\s*$/.exec(stdout);
  for (const line of stdout.split("\n")) if (line.startsWith("FAIL")) console.log(line);
  if (counts === null) throw new Error(`${command} ${args.join(" ")}: exit code ${status}\n${stdout}\n${stderr}`);
  passed += Number(counts[1]);
  failed += Number(counts[2]);
}

try {
  if (!existsSync(python))
    must(process.env.PYTHON ?? (process.platform === "win32" ? "python" : "python3"), ["-m", "venv", venv]);
  must(python, [
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "-r",
    join(here, "requirements.txt"),
  ]);
  const tsx = [join(root, "node_modules", "tsx", "dist", "cli.mjs")];
  must(process.execPath, [...tsx, join(here, "write.ts"), folder]);
  counted(python, [join(here, "check.py"), folder]);
  counted(process.execPath, [...tsx, join(here, "read.ts"), folder]);
  counted(python, [join(here, "check_saved_model.py"), folder]);
  const netron = must(python, ["-c", "import netron, os; print(os.path.dirname(netron.__file__))"]);
  counted(process.execPath, [join(here, "check_netron.mjs"), netron, folder]);
  if (Number(process.versions.node.split(".")[0]) < 23) {
    must("npm", ["ci", "--prefix", join(root, "bench", "tfjs"), "--ignore-scripts", "--no-audit", "--no-fund"]);
    counted(process.execPath, [...tsx, join(here, "check_saved_model.ts"), folder]);
  } else console.log("left out: tfjs-node's own JavaScript does not run on Node 23 and later");
  // The models that jobs run as, vendor operators and all.
  must(process.execPath, [...tsx, join(here, "emit_models.ts")], { cwd: folder, env: { ONESTEP_DEBUG: "3" } });
  const models = readdirSync(join(folder, "onestep-debug")).filter((name) => name.endsWith(".onnx"));
  for (const model of models) {
    const { status, stdout } = run(python, [join(here, "check_onnx.py"), join(folder, "onestep-debug", model)]);
    if (status === 0) passed++;
    else {
      failed++;
      console.log(stdout);
    }
  }
} catch (error) {
  failed++;
  console.log(String(error.message));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
