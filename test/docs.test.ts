import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
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

test("links between the documents lead somewhere", () => {
  for (const file of [
    "README.md",
    "FEATURES.md",
    ...readdirSync(join(root, "docs"))
      .filter((name) => name.endsWith(".md"))
      .map((name) => join("docs", name)),
  ]) {
    for (const [, target] of text(file).matchAll(/\]\((?!http)([^)#]+)\)/g))
      expect(existsSync(join(root, file, "..", target!)), `${file}: ${target}`).toBe(true);
  }
});
