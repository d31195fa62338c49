import { existsSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { candidates } from "#src/engines/tensorflow/session/tfjs-node.js";

// TensorFlow.js is installed in bench/tfjs and has no types here.
const require = createRequire(new URL("../tfjs/package.json", import.meta.url));

/** tfjs-node's own JavaScript on the binding that `onestep setup tensorflow` built; it runs on Node below 23. Wants `npm ci` in `bench/tfjs`. */
export function openTfjsNode(): unknown {
  const folder = dirname(require.resolve("@tensorflow/tfjs-node/package.json"));
  const built = candidates().find((candidate) => candidate.built);
  if (built === undefined) throw new Error("no tfjs-node is set up; run npx onestep setup tensorflow");
  for (const part of ["lib", "deps"])
    if (!existsSync(join(folder, part))) symlinkSync(join(built.folder, part), join(folder, part));
  return require("@tensorflow/tfjs-node");
}

/** TensorFlow.js with one of its backends: tensorflow, wasm or cpu. */
export function openTfjs(backend: string): unknown {
  if (backend === "tensorflow") return openTfjsNode();
  if (backend === "wasm") openTfjsWasm();
  return require("@tensorflow/tfjs");
}

/** The wasm backend's own settings. */
export function openTfjsWasm(): { setThreadsCount(threads: number): void } {
  const wasm = require("@tensorflow/tfjs-backend-wasm");
  wasm.setWasmPaths(join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json")), "wasm-out", "/"));
  return wasm;
}
