import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

// Who may import whom: a folder imports itself and what its row names (docs/adding-an-op.md shows the table).
const root = fileURLToPath(new URL("../src", import.meta.url));
const allowed: Readonly<Record<string, readonly string[]>> = {
  core: [],
  graph: ["core"],
  initializers: ["core"],
  data: ["core"],
  ops: ["core", "graph", "initializers", "data"],
  passes: ["core", "graph", "ops"],
  autodiff: ["core", "graph", "ops"],
  variables: ["core", "graph", "initializers"],
  layers: ["core", "graph", "variables", "ops", "initializers"],
  optim: ["core", "graph", "ops", "autodiff", "variables", "initializers"],
  checkpoint: ["core", "variables"],
  formats: ["core", "variables", "checkpoint"],
  engines: ["core", "graph", "ops", "passes"],
  job: [
    "core",
    "graph",
    "initializers",
    "data",
    "ops",
    "passes",
    "autodiff",
    "variables",
    "layers",
    "optim",
    "checkpoint",
    "formats",
    "engines",
  ],
  api: [
    "core",
    "graph",
    "initializers",
    "data",
    "ops",
    "passes",
    "autodiff",
    "variables",
    "layers",
    "optim",
    "checkpoint",
    "formats",
    "engines",
    "job",
  ],
  cli: ["core", "initializers", "variables", "checkpoint", "formats", "engines", "job", "api", "index.ts"],
  "index.ts": ["core", "graph", "autodiff", "initializers", "ops", "variables", "layers", "job", "api"],
};
// Packages that carry native code: loaded by their engine only.
const nativeOwners: Readonly<Record<string, readonly string[]>> = {
  "onnxruntime-node": ["engines/onnx/session"],
  koffi: ["engines/koffi.ts"],
  "@tensorflow/tfjs-node": ["engines/tensorflow/session"],
};

function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (entry.name.endsWith(".ts")) yield path;
  }
}

const importsOf = (text: string): string[] =>
  [...text.matchAll(/(?:from|import\(|import)\s*"([^"]+)"/g)].map((match) => match[1]!);
const folderOf = (path: string): string => relative(root, path).split(/[\\/]/)[0]!;

test("no import points up", () => {
  const wrong: string[] = [];
  for (const file of sources(root)) {
    const from = folderOf(file);
    for (const specifier of importsOf(readFileSync(file, "utf8"))) {
      if (specifier.startsWith(".")) {
        const target = resolve(dirname(file), specifier);
        const to = folderOf(target.replace(/\.js$/, ".ts"));
        if (to !== from && !(allowed[from] ?? []).includes(to))
          wrong.push(`${relative(root, file)} -> ${relative(root, target)}`);
        const [, engine] = /^engines[\\/](\w+)[\\/]/.exec(relative(root, file)) ?? [];
        const [, other] = /^engines[\\/](\w+)[\\/]/.exec(relative(root, target)) ?? [];
        if (engine !== undefined && other !== undefined && engine !== other)
          wrong.push(`${relative(root, file)} -> ${relative(root, target)} (another engine)`);
      } else {
        const owners = nativeOwners[specifier];
        const path = relative(root, file).replaceAll("\\", "/");
        if (owners !== undefined && !owners.some((owner) => path.startsWith(owner)))
          wrong.push(`${relative(root, file)} -> ${specifier}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test("every folder has a row", () => {
  expect([...new Set([...sources(root)].map(folderOf))].filter((folder) => !(folder in allowed))).toEqual([]);
});

test("importing the package loads no engine, and none but Node's own packages", () => {
  // build/ has the modules one by one; dist/ has them in bundles.
  const { modules, packages } = loadedBy("build");
  expect(modules).toContain("job/session.js");
  expect(modules.filter((file) => file.startsWith("engines/"))).toEqual(["engines/onnx/versions.js"]); // numbers alone
  expect(packages.filter((name) => !name.startsWith("node:"))).toEqual([]);
});

test("importing the built package loads two files", () => {
  const { modules, packages } = loadedBy("dist");
  expect(modules).toEqual(["index.js", "bundle/onestep.js"]);
  expect(packages.filter((name) => !name.startsWith("node:"))).toEqual([]);
});

test("whatever module is imported, there is one copy of it, and namespaces are closed", async () => {
  const flow = await import("onestep");
  const { FlowError } = await import("#src/core/errors.js");
  const math = await import("#src/api/math.js");
  expect(flow.FlowError).toBe(FlowError);
  expect(Object.keys(flow.math)).toEqual(Object.keys(math));
  expect(flow.math.add).toBe(math.add);
  expect(Object.prototype.toString.call(flow.math)).toBe("[object Module]");
  expect(Object.getPrototypeOf(flow.math)).toBeNull();
  expect(() => Object.assign(flow.math, { add: undefined })).toThrow(TypeError);
  expect(() => Object.assign(flow.math, { plus: undefined })).toThrow(TypeError);
});

/** The files of a folder that its index.js loads at once, and the packages. */
function loadedBy(folder: string): { readonly modules: readonly string[]; readonly packages: readonly string[] } {
  const built = fileURLToPath(new URL(`../${folder}`, import.meta.url));
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, specifier] of readFileSync(file, "utf8").matchAll(
      /^(?:(?:im|ex)port\b[^;]*?\bfrom\s*|import\s*)"([^"]+)"/gm,
    ))
      if (specifier!.startsWith(".")) visit(resolve(dirname(file), specifier!));
      else packages.add(specifier!);
  };
  visit(join(built, "index.js"));
  const modules = [...seen].map((file) => relative(built, file).replaceAll("\\", "/"));
  return { modules, packages: [...packages] };
}
