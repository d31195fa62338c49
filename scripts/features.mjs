// node scripts/features.mjs [--check]: writes FEATURES.md from the `@flow` tags of the docstrings; with --check, fails where it
// is stale.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".ts"));
const names = new Set();
for (const file of files)
  for (const [, name] of readFileSync(join(root, "src", file), "utf8").matchAll(/@flow ([\w.]+)/g)) names.add(name);

const groups = new Map();
for (const name of [...names].sort()) {
  const group = name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : "top level";
  groups.set(group, [...(groups.get(group) ?? []), name]);
}
const camel = (name) => name.replace(/(?<=[a-z0-9])_(\w)/g, (_, letter) => letter.toUpperCase());
const text = `# Features

${names.size} of the 439 documented names are here so far, each under its documented name in camelCase. Written by
\`node scripts/features.mjs\` from the docstrings; a test fails where this page is stale.

| where | names |
| --- | --- |
${[...groups].map(([group, all]) => `| ${group === "top level" ? "`flow`" : `\`flow.${camel(group)}\``} | ${all.map((name) => `\`${camel(name.slice(name.lastIndexOf(".") + 1))}\``).join(" ")} |`).join("\n")}

## dtypes by engine

Jobs compute in float32 or float64; int8, uint8, int32 and int64 hold labels, indices, masks and counts.

| engine | float32 | float64 | small integers |
| --- | --- | --- | --- |
| onnx | onnxruntime's kernels; formulas of them for expm1, log1p, erfc, lgamma, atan2, softplus, logsumexp and filter gradients | kernels; formulas where they are missing: conv and its gradients, avgPool, erf, gelu, leakyRelu, tan, the inverse trigonometric and the hyperbolic functions but tanh | int8 and uint8 through int32 where a kernel is missing |
| reference | computed in float64, rounded | computed in float64 | exact |
`;
const path = join(root, "FEATURES.md");
if (process.argv.includes("--check")) {
  if (readFileSync(path, "utf8") !== text) {
    console.error("FEATURES.md is stale: run node scripts/features.mjs");
    process.exitCode = 1;
  }
} else writeFileSync(path, text);
