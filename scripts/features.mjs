// node scripts/features.mjs [--check | --prune]: writes FEATURES.md. What is here comes from the code: a name has a `@flow` tag in
// the sources and resolves at its place in the built package. docs/oneflow-v0.2/ holds the list of documented names and, for those
// that are missing, a reason. --check writes nothing and fails where something does not agree; --prune takes the reasons of names
// that are here out of the list. (--source FOLDER and --classes FILE stand in for the real ones in tests.)
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values: given } = parseArgs({
  options: {
    check: { type: "boolean" },
    prune: { type: "boolean" },
    source: { type: "string", default: join(root, "src") },
    classes: { type: "string", default: join(root, "docs/oneflow-v0.2/classes.tsv") },
  },
});

// Why a documented name may be missing.
const reasons = [
  "later: operators and models",
  "later: optimizers and schedules",
  "later: checkpoint managers",
  "later: data pipeline",
  "later: TensorBoard summaries",
  "later: export",
  "later: float16",
  "detection pipeline",
  "multi-device hardware",
  "CUDA",
  "native C++ plug-ins",
  "deprecated upstream",
  "upstream internal",
  "upstream's test harness",
];
// Tags that name something the documentation has and v0.2's exports lack: a member, or a name spelt right.
const besides = [
  "typing.Numpy.Placeholder",
  "typing.ListNumpy.Placeholder",
  "typing.ListListNumpy.Placeholder",
  "optimizer.PolynomialScheduler",
];
const classes = ["core", "extended", "out-of-scope"];

const table = (path) =>
  readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"));
const names = table(join(root, "docs/oneflow-v0.2/exports.tsv")).map(([name]) => name);
const known = new Map(table(given.classes).map(([name, kind, reason = ""]) => [name, { kind, reason }]));

const tags = new Set();
for (const file of readdirSync(given.source, { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".ts")))
  for (const [, name] of readFileSync(join(given.source, file), "utf8").matchAll(/@flow ([\w.]+)/g)) tags.add(name);

const flow = await import(new URL("../dist/index.js", import.meta.url));
const camel = (name) => name.replace(/(?<=[a-z0-9])_(\w)/g, (_, letter) => letter.toUpperCase());
/** `math.reduce_sum` -> `math.reduceSum`. */
const place = camel;
const resolve = (path) => path.split(".").reduce((at, part) => at?.[part], flow);

const problems = [];
for (const name of tags) {
  if (!names.includes(name) && !besides.includes(name))
    problems.push(`the tag '@flow ${name}' names nothing that is documented`);
  if (resolve(place(name)) === undefined)
    problems.push(`'@flow ${name}': the built package has no flow.${place(name)}`);
}
const here = (name) => tags.has(name) && resolve(place(name)) !== undefined;
for (const name of names) {
  const { kind, reason } = known.get(name) ?? {};
  if (!classes.includes(kind)) problems.push(`${name}: its class is '${kind}', expected ${classes.join(", ")}`);
  else if (here(name) && reason !== "")
    problems.push(
      `${name} is here and has the reason '${reason}' for being missing; run node scripts/features.mjs --prune`,
    );
  else if (!here(name) && reason === "") problems.push(`${name} is neither here nor has a reason`);
  else if (reason !== "" && !reasons.includes(reason))
    problems.push(`${name}: the reason '${reason}' is not in the list`);
}
for (const name of known.keys()) if (!names.includes(name)) problems.push(`${name} is not among the documented names`);

/** `[module, names]`, sorted, the top level first. */
function byModule(list) {
  const modules = new Map();
  const key = (name) => `${name.toLowerCase()} ${name}`;
  for (const name of [...list].sort((a, b) => (key(a) < key(b) ? -1 : 1))) {
    const module = name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : "";
    modules.set(module, [...(modules.get(module) ?? []), name]);
  }
  return [...modules].sort(([a], [b]) => (a < b ? -1 : 1));
}
const last = (name) => name.slice(name.lastIndexOf(".") + 1);
const code = (list) => list.map((name) => `\`${name}\``).join(" ");
const present = names.filter(here);
const missing = names.filter((name) => !here(name));
const summary = classes.map((kind) => {
  const all = names.filter((name) => known.get(name)?.kind === kind);
  return `| ${kind} | ${all.filter(here).length} | ${all.length} |`;
});
const why = reasons.filter((reason) => missing.some((name) => known.get(name)?.reason === reason));

const documented = [...tags].map(place);
const isModule = (value) => value?.[Symbol.toStringTag] === "Module";
/** Exported values that no tag names: functions, classes and constants. `tp` is `typing` again. */
function ours(module, path) {
  return Object.keys(module).flatMap((key) => {
    const at = [...path, key].join(".");
    if (at === "tp") return [];
    if (isModule(module[key])) return ours(module[key], [...path, key]);
    return documented.some((name) => name === at || name.startsWith(`${at}.`)) ? [] : [at];
  });
}
const beyond = ours(flow, []);

const text = `# Features

${present.length} of the ${names.length} names that OneFlow v0.2 exports are here, each under its documented name in camelCase
(\`flow.math.reduce_sum\` is \`flow.math.reduceSum\`; \`typing\` is \`tp\` too). Every other one has a reason. This page is written by
\`node scripts/features.mjs\` from the \`@flow\` tags in the sources and from the built package; a test fails where it is stale.

| names | here | of |
| --- | --- | --- |
${summary.join("\n")}
| all | ${present.length} | ${names.length} |

*Core* is what the documentation's programs and the usual models need, *extended* what is useful or mentioned in passing;
*out of scope* is internal, for several devices or machines, native or deprecated upstream.

## Here

| module | names |
| --- | --- |
${byModule(present)
  .map(
    ([module, all]) =>
      `| \`${module === "" ? "flow" : `flow.${place(`${module}.`).slice(0, -1)}`}\` | ${code(all.map((name) => camel(last(name))))} |`,
  )
  .join("\n")}

## Missing, and why

Documented names, as OneFlow spells them.
${why
  .map((reason) => {
    const all = missing.filter((name) => known.get(name)?.reason === reason);
    return `
### ${reason[0].toUpperCase()}${reason.slice(1)} (${all.length})

| module | names |
| --- | --- |
${byModule(all)
  .map(([module, list]) => `| ${module === "" ? "top level" : `\`${module}\``} | ${code(list.map(last))} |`)
  .join("\n")}
`;
  })
  .join("")}
## Beyond the documentation

Public names of ours that OneFlow v0.2 does not export.

| module | names |
| --- | --- |
${byModule(beyond)
  .map(([module, all]) => `| \`${module === "" ? "flow" : `flow.${module}`}\` | ${code(all.map(last))} |`)
  .join("\n")}

## dtypes by engine

Jobs compute in float32 or float64; float16 is for storage, and ops on it compute in float32 and round their result; int8, uint8, int32
and int64 hold labels, indices, masks and counts.

| engine | float32 | float64 | small integers |
| --- | --- | --- | --- |
| onnx | onnxruntime's kernels; formulas of them for expm1, log1p, erfc, lgamma, atan2, softplus, logsumexp and filter gradients | kernels; formulas where they are missing: conv and its gradients, avgPool, erf, gelu, leakyRelu, tan, the inverse trigonometric and the hyperbolic functions but tanh | int8 and uint8 through int32 where a kernel is missing |
| tensorflow | TensorFlow's kernels; formulas of them for gelu, leakyRelu, erfc, softplus and windows over other than two spatial axes; zeros between the taps for the gradients of dilated convolutions | the same | int8 and uint8 through int32 where a kernel is missing |
| reference | computed in float64, rounded | computed in float64 | exact |
`;

const page = join(root, "FEATURES.md");
if (given.prune) {
  const lines = readFileSync(given.classes, "utf8").split("\n");
  const pruned = lines.map((line) => (here(line.split("\t")[0]) ? line.split("\t").slice(0, 2).join("\t") : line));
  writeFileSync(given.classes, pruned.join("\n"));
} else if (!given.check) writeFileSync(page, text);
else if (readFileSync(page, "utf8") !== text) problems.push("FEATURES.md is stale: run node scripts/features.mjs");
if (!given.prune && problems.length > 0) {
  console.error(problems.join("\n"));
  process.exitCode = 1;
}
