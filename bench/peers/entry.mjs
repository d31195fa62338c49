// node bench/peers/entry.mjs NAME [BACKEND]: runs serve.ts. A framework that is ES modules is imported before the loader of TypeScript
// is there, as a user's program does: through the loader's hooks it would take several times as long.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { resolve } = createRequire(new URL("../tfjs/package.json", import.meta.url));
const modules = { onestep: () => "onestep", "jax-js": () => pathToFileURL(resolve("@jax-js/jax")).href };
const specifier = modules[process.argv[2]]?.();
performance.mark("import");
if (specifier !== undefined) await import(specifier);
performance.measure("import", "import");
const { register } = await import("tsx/esm/api");
register();
await import("./serve.ts");
