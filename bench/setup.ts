// npm run bench:setup: what the benchmark's peers need, kept apart from the package's own dependencies: bench/tfjs (TensorFlow.js, jax-js)
// by npm, bench/.venv (PyTorch, TensorFlow, JAX) by pip. PYTHON names the interpreter to make the environment with.
// A CPU-only index of wheels, where there is one, is named by pip's own PIP_EXTRA_INDEX_URL.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pythonOf } from "./python.js";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Runs a command; says what failed and ends where it does. */
function must(command: string, args: readonly string[], advice = ""): void {
  const { status, error } = spawnSync(command, args, { stdio: "inherit" });
  if (error === undefined && status === 0) return;
  console.error(`bench:setup: ${command} ${args.join(" ")}: ${error?.message ?? `exit code ${status}`}${advice}`);
  process.exit(1);
}

must("npm", ["ci", "--prefix", join(here, "tfjs"), "--ignore-scripts", "--no-audit", "--no-fund"]);
const python = pythonOf(here);
const maker = process.env.PYTHON ?? (process.platform === "win32" ? "python" : "python3");
if (!existsSync(python))
  must(
    maker,
    ["-m", "venv", join(here, ".venv")],
    `\nIt makes bench/.venv: install Python 3.11 or later with its venv module, or name one by PYTHON=/path/to/python.`,
  );
must(python, ["-m", "pip", "install", "--disable-pip-version-check", "-r", join(here, "requirements.txt")]);
must(python, [
  "-c",
  "import torch, tensorflow, jax; print('PyTorch', torch.__version__, '- TensorFlow', tensorflow.__version__, '- JAX', jax.__version__)",
]);
console.log("bench:setup: done; npm run bench uses bench/.venv by itself");
