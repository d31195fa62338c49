import { existsSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { candidates } from "#src/engines/tensorflow/session/tfjs-node.js";

/** tfjs-node's own JavaScript on the binding that `onestep setup tensorflow` built; it runs on Node below 23. Wants `npm ci` in `bench/tfjs`. */
export function openTfjsNode(): unknown {
  const require = createRequire(new URL("../tfjs/package.json", import.meta.url));
  const folder = dirname(require.resolve("@tensorflow/tfjs-node/package.json"));
  const built = candidates().find((candidate) => candidate.built);
  if (built === undefined) throw new Error("no tfjs-node is set up; run npx onestep setup tensorflow");
  for (const part of ["lib", "deps"])
    if (!existsSync(join(folder, part))) symlinkSync(join(built.folder, part), join(folder, part));
  return require("@tensorflow/tfjs-node");
}
