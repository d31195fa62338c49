// The second half of `npm run build`: dist/ out of what tsc has written to build/. Node.js takes half a millisecond for each module that it
// loads, so what a program loads together is one file under dist/bundle/, and the modules themselves pass on its exports: whoever
// imports dist/job/session.js (tests, the command line, another bundle) gets the one copy that there is.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const from = join(root, "build");
const to = join(root, "dist");

/** Bundles by name, each with the module that loads it whole. */
const entries = {
  onestep: "index.js",
  onnx: "engines/onnx/engine.js",
  tensorflow: "engines/tensorflow/engine.js",
  reference: "engines/reference/engine.js",
};

const files = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)).replaceAll("\\", "/"));
const modules = files(from).filter((file) => file.endsWith(".js"));
const text = new Map(modules.map((file) => [file, readFileSync(join(from, file), "utf8")]));

const common = { absWorkingDir: root, format: "esm", platform: "node", target: "node20", logLevel: "warning" };
const sources = modules.map((file) => `build/${file}`);
const { metafile } = await build({ ...common, entryPoints: sources, outdir: "dist", write: false, metafile: true });
const exportsOf = new Map(
  Object.entries(metafile.outputs).map(([file, { exports }]) => [file.slice("dist/".length), exports]),
);
const graph = await build({
  ...common,
  entryPoints: sources,
  outdir: "dist",
  write: false,
  metafile: true,
  bundle: true,
  splitting: true,
  packages: "external",
});
const importsOf = (file) =>
  graph.metafile.inputs[`build/${file}`].imports
    .filter(({ kind, external }) => kind === "import-statement" && !external)
    .map(({ path }) => path.slice("build/".length));

function reach(file, seen = new Set()) {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const next of importsOf(file)) reach(next, seen);
  return seen;
}

const reached = Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name, reach(entry)]));
// What the package itself loads is there before any engine; what two engines share stays a file of its own.
const bundleOf = new Map();
for (const file of modules) {
  const names = Object.keys(entries).filter((name) => reached[name].has(file));
  if (names.includes("onestep")) bundleOf.set(file, "onestep");
  else if (names.length === 1) bundleOf.set(file, names[0]);
}

const written = new Set();
function write(file, contents) {
  mkdirSync(dirname(join(to, file)), { recursive: true });
  writeFileSync(join(to, file), contents);
  written.add(file);
}

/** The name under which a bundle exports what a module exports: `job/session.js`, `Session` -> `job_session$Session`. */
const exported = (file, name) => `${file.replace(/\.js$/, "").replaceAll(/[^\w]/g, "_")}$${name}`;
const specifier = (file, target) => {
  const path = posix.relative(posix.dirname(file), target);
  return path.startsWith(".") ? path : `./${path}`;
};

/** A module that gives, in the place of `place`, what the module `file` of a bundle exports. */
function passed(place, file) {
  const names = exportsOf.get(file).map((name) => `${exported(file, name)} as ${name}`);
  const bundle = specifier(place, `bundle/${bundleOf.get(file)}.js`);
  return names.length === 0 ? "export {};\n" : `export { ${names.join(", ")} } from "${bundle}";\n`;
}

// What esbuild makes of `export * as math` is a plain object; here it is closed and says what it is, as Node's own are. No line moves.
const namespaceEnd = "__defProp(target, name, { get: all[name], enumerable: true });\n};";
const closed =
  'Object.preventExtensions(Object.setPrototypeOf(__defProp(target, Symbol.toStringTag, { value: "Module" }), null));';
function withNamespaces(code) {
  if (!code.includes("__export(")) return code;
  if (!code.includes(namespaceEnd)) throw new Error("esbuild writes namespaces in another way; see withNamespaces");
  return code.replace(namespaceEnd, () => namespaceEnd.replace("\n", ` ${closed}\n`));
}

for (const [bundle, entry] of Object.entries(entries)) {
  const members = modules.filter((file) => bundleOf.get(file) === bundle);
  const output = `bundle/${bundle}.js`;
  // The order in which modules run is that of the entry's imports.
  const contents = [`import "./${entry}";`];
  for (const file of members) {
    const names = exportsOf.get(file).map((name) => `${name} as ${exported(file, name)}`);
    if (names.length > 0) contents.push(`export { ${names.join(", ")} } from "./${file}";`);
  }
  const result = await build({
    ...common,
    stdin: { contents: contents.join("\n"), resolveDir: from, sourcefile: "bundle.js" },
    bundle: true,
    outfile: join("dist", output),
    write: false,
    sourcemap: true,
    sourcesContent: false,
    // Every module is kept, with what it does when it is loaded.
    ignoreAnnotations: true,
    plugins: [
      {
        name: "modules",
        setup(made) {
          made.onResolve({ filter: /.*/ }, ({ path, importer, resolveDir, namespace, kind }) => {
            if (!path.startsWith(".") || namespace === "passed") return { path, external: true };
            const file = relative(from, join(resolveDir, path)).replaceAll("\\", "/");
            if (bundleOf.get(file) === bundle) return { path: join(from, file) };
            if (!text.has(file)) throw new Error(`${importer} imports ${path}, which tsc has not written`);
            if (kind === "import-statement" && bundleOf.has(file)) return { path: file, namespace: "passed" };
            return { path: specifier(output, file), external: true };
          });
          made.onLoad({ filter: /.*/, namespace: "passed" }, ({ path }) => ({ contents: passed(output, path) }));
          // A module's own place is still where it was: workers, package.json and the frames of a stack are found from there.
          made.onLoad({ filter: /\.js$/, namespace: "file" }, ({ path }) => {
            const file = relative(from, path).replaceAll("\\", "/");
            const url = `new URL("${specifier(output, file)}", import.meta.url).href`;
            return { contents: text.get(file).replaceAll("import.meta.url", url), loader: "js" };
          });
        },
      },
    ],
  });
  for (const { path, text: made } of result.outputFiles)
    write(relative(to, path).replaceAll("\\", "/"), path.endsWith(".map") ? made : withNamespaces(made));
  for (const file of members) write(file, passed(file, file));
  // Two classes of one name would be told apart by a digit, in what errors and console.log show.
  const classes = members.flatMap((file) =>
    [...text.get(file).matchAll(/^(?:export )?class (\w+)/gm)].map(([, name]) => name),
  );
  const twice = classes.find((name, i) => classes.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`bundle ${bundle}: two modules have a class ${twice}; name one otherwise`);
}
for (const file of modules.filter((module) => !bundleOf.has(module))) {
  write(file, text.get(file));
  write(`${file}.map`, readFileSync(join(from, `${file}.map`)));
}
for (const file of files(to)) if (/\.js(\.map)?$/.test(file) && !written.has(file)) rmSync(join(to, file));
