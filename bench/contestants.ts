import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { pythonOf } from "./python.js";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** A peer: the command of its process, or why it is not asked. */
export type Contestant =
  | {
      readonly command: readonly string[];
      readonly env?: Readonly<Record<string, string>>;
      /** Whether it has the full-size models. */
      readonly models: boolean;
    }
  | { readonly missing: string };

const node = [process.execPath, here("peers/entry.mjs")];

/** The interpreter of the Python peers: `--python`, else that of bench/.venv where it was made. */
export function pythonFor(option: string | undefined): string | undefined {
  const own = pythonOf(here("."));
  return option ?? (existsSync(own) ? own : undefined);
}

/** All peers by name, onestep first: every other is compared with it. */
export function contestants(python: string | undefined): Readonly<Record<string, Contestant>> {
  const onestep = (engine: string): Contestant => ({
    command: [...node, "onestep"],
    env: { ONESTEP_ENGINE: engine },
    models: true,
  });
  const javascript = (...args: readonly string[]): Contestant =>
    existsSync(here("tfjs/node_modules"))
      ? { command: [...node, ...args], models: false }
      : { missing: "bench/tfjs is not installed (npm run bench:setup)" };
  const fromPython = (name: string): Contestant =>
    python === undefined
      ? { missing: "there is no bench/.venv (npm run bench:setup)" }
      : { command: [python, here("peers/serve.py"), name], models: true };
  return {
    onestep: onestep("onnx"),
    "onestep tensorflow": onestep("tensorflow"),
    "PyTorch eager": fromPython("torch_eager"),
    "PyTorch compile": fromPython("torch_compile"),
    "TensorFlow graph": fromPython("tensorflow_graph"),
    "JAX jit": fromPython("jax_jit"),
    "tfjs-node eager": javascript("tfjs", "tensorflow"),
    "tfjs wasm": javascript("tfjs", "wasm"),
    "tfjs cpu": javascript("tfjs", "cpu"),
    "jax-js": javascript("jax-js"),
  };
}
