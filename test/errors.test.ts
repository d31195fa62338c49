import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { examplesIn } from "./examples/collect.js";

// docs/errors.md: test/examples/docs-examples.test.ts runs its programs and compares the messages; here is that there are any.
const root = fileURLToPath(new URL("..", import.meta.url));
const page = readFileSync(join(root, "docs/errors.md"), "utf8");
const sections = page
  .split(/^## /m)
  .slice(1)
  .map((text) => ({ code: /^E_\w+/.exec(text)![0], text }));

// What no small program can meet: a second copy of the package; an op without a gradient; a host op behind the engine.
const withoutProgram = ["E_DUPLICATE_PACKAGE", "E_GRADIENT", "E_HOST"];

test.each(sections)(
  "$code has a meaning, a program that meets it, its message, causes and a cure",
  ({ code, text }) => {
    expect(text).toMatch(/^\*\*Usual causes\*\*: /m);
    expect(text).toMatch(/^\*\*Mend\*\*: /m);
    const programs = examplesIn("errors.md", text).filter(({ kind }) => kind.endsWith("throws"));
    if (withoutProgram.includes(code)) expect(programs).toEqual([]);
    else expect(programs.map(({ message }) => message?.split(/\s+/).at(-1))).toEqual([`[${code}]`]);
  },
);

test("a second copy of the package in a process is the error that the page quotes", () => {
  const folder = mkdtempSync(join(tmpdir(), "onestep-copy-"));
  try {
    cpSync(join(root, "dist"), join(folder, "dist"), { recursive: true });
    cpSync(join(root, "package.json"), join(folder, "package.json"));
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
    const program = `for (const path of process.argv.slice(1))
      await import(path).then((flow) => flow.syncDefaultSession()).catch((error) => console.log(error.message));`;
    const paths = [root, folder].map((path) => pathToFileURL(join(path, "dist/index.js")).href);
    const output = execFileSync(process.execPath, ["--input-type=module", "--eval", program, ...paths], {
      encoding: "utf8",
    });
    const quoted = /^onestep is loaded twice .*$/m.exec(page)![0];
    expect(output.trim().replaceAll(/file:\/\/\S+?(?=[; ])/g, "...")).toBe(quoted);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
