import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as flow from "onestep";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const text = (path: string): string => readFileSync(join(root, path), "utf8");
const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((path) =>
  path.endsWith(".ts"),
);

test("every error code has a heading in docs/errors.md and a place that throws it", () => {
  const codes = [...text("src/core/errors.ts").matchAll(/\| "(E_\w+)"/g)].map((match) => match[1]);
  const headings = [...text("docs/errors.md").matchAll(/^## (E_\w+)$/gm)].map((match) => match[1]);
  const uses = (path: string): string => text(join("src", path)).split("class FlowError").at(-1)!;
  const thrown = new Set(sources.flatMap((path) => [...uses(path).matchAll(/"(E_\w+)"/g)].map((match) => match[1])));
  expect(headings).toEqual(codes);
  expect([...thrown].sort()).toEqual(codes);
});

test("FEATURES.md lists the @flow tags, and each name exists where it says", () => {
  const features = text("FEATURES.md");
  const { status, stderr } = spawnSync(process.execPath, [join(root, "scripts", "features.mjs"), "--check"], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  let count = 0;
  for (const [, where, names] of features.matchAll(/^\| `flow\.?([\w.]*)` \| (.*) \|$/gm)) {
    const path = where!
      .replace(/^typing/, "tp")
      .split(".")
      .filter(Boolean);
    const module = path.reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], flow);
    for (const [, name] of names!.matchAll(/`(\w+)`/g)) {
      count++;
      expect(module, `flow.${where}.${name}`).toHaveProperty(name!);
    }
  }
  expect(features).toContain(`${count} of the 439`);
});

test("links between the documents lead somewhere", () => {
  for (const file of [
    "README.md",
    "FEATURES.md",
    ...readdirSync(join(root, "docs")).map((name) => join("docs", name)),
  ]) {
    for (const [, target] of text(file).matchAll(/\]\((?!http)([^)#]+)\)/g))
      expect(existsSync(join(root, file, "..", target!)), `${file}: ${target}`).toBe(true);
  }
});
