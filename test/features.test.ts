import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as flow from "onestep";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const rows = (path: string): string[][] =>
  read(path)
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"));
const exported = rows("docs/oneflow-v0.2/exports.tsv");
const classes = read("docs/oneflow-v0.2/classes.tsv");

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "onestep-features-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the script; its exit code and what it complains of. */
function features(...args: string[]): { status: number | null; complaints: string[] } {
  const script = join(root, "scripts", "features.mjs");
  const { status, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
  return { status, complaints: stderr.trim().split("\n").filter(Boolean) };
}

/** What the check says of a list of classes that differs from ours. */
function withClasses(change: (text: string) => string): string[] {
  const path = join(folder, "classes.tsv");
  const changed = change(classes);
  expect(changed).not.toBe(classes);
  writeFileSync(path, changed);
  return features("--check", "--classes", path).complaints.filter((line) => !line.startsWith("FEATURES.md is stale"));
}

test("FEATURES.md is what the code and the lists say", () => {
  expect(features("--check")).toEqual({ status: 0, complaints: [] });
});

test("the list has the 439 documented names, classed 161, 163 and 115", () => {
  const names = exported.map(([name]) => name);
  expect(new Set(names).size).toBe(439);
  expect(read("docs/oneflow-v0.2/exports.tsv")).not.toMatch(/(^|\t)\//m);
  const kinds = rows("docs/oneflow-v0.2/classes.tsv");
  expect(kinds.map(([name]) => name)).toEqual(names);
  const count = (kind: string): number => kinds.filter((row) => row[1] === kind).length;
  expect([count("core"), count("extended"), count("out-of-scope")]).toEqual([161, 163, 115]);
});

test("every name of the page exists where it says, and every documented name is on the page once", () => {
  const page = read("FEATURES.md");
  const here = page.slice(page.indexOf("## Here"), page.indexOf("## Missing"));
  const missing = page.slice(page.indexOf("## Missing"), page.indexOf("## Beyond"));
  const cells = (text: string): [string, string][] =>
    [...text.matchAll(/^\| (?:`([\w.]+)`|top level) \| (.*) \|$/gm)].flatMap(([, module = "", names]) =>
      [...names!.matchAll(/`(\w+)`/g)].map(([, name]): [string, string] => [module, name!]),
    );
  for (const [module, name] of cells(here)) {
    const at = module
      .split(".")
      .slice(1)
      .reduce<unknown>((value, part) => (value as Record<string, unknown>)[part], flow);
    expect(at, `${module}.${name}`).toHaveProperty(name);
  }
  const absent = cells(missing).map(([module, name]) => (module === "" ? name : `${module}.${name}`));
  expect(cells(here).length + absent.length).toBe(439);
  const names = new Set(exported.map(([name]) => name));
  expect(absent.filter((name) => !names.has(name))).toEqual([]);
  expect(page).toContain(`${cells(here).length} of the 439 names`);
});

test("a name with neither an implementation nor a reason is a complaint", () => {
  expect(withClasses((text) => text.replace(/^unittest.TestCase\t.*$/m, "unittest.TestCase\tout-of-scope"))).toEqual([
    "unittest.TestCase is neither here nor has a reason",
  ]);
});

test("a reason for a name that exists is a complaint, and --prune takes it out", () => {
  const wrong = (text: string): string =>
    text.replace(/^math.reduce_sum\tcore$/m, "math.reduce_sum\tcore\tupstream internal");
  expect(withClasses(wrong)).toEqual([
    "math.reduce_sum is here and has the reason 'upstream internal' for being missing; run node scripts/features.mjs --prune",
  ]);
  const path = join(folder, "pruned.tsv");
  writeFileSync(path, wrong(classes));
  expect(features("--prune", "--classes", path)).toEqual({ status: 0, complaints: [] });
  expect(readFileSync(path, "utf8")).toBe(classes);
});

test("an unknown reason, an unknown class and a name that is not documented are complaints", () => {
  expect(withClasses((text) => text.replace(/^(unittest.TestCase\t[\w-]+\t).*$/m, "$1no time"))).toEqual([
    "unittest.TestCase: the reason 'no time' is not in the list",
  ]);
  expect(withClasses((text) => text.replace(/^math.reduce_sum\tcore$/m, "math.reduce_sum\tgood"))).toEqual([
    "math.reduce_sum: its class is 'good', expected core, extended, out-of-scope",
  ]);
  expect(withClasses((text) => `${text}math.reduce\tcore\tupstream internal\n`)).toEqual([
    "math.reduce is not among the documented names",
  ]);
});

test("a tag that names nothing documented, or nothing that is exported, is a complaint", () => {
  const source = join(folder, "src");
  mkdirSync(source, { recursive: true });
  writeFileSync(join(source, "a.ts"), "/** @flow math.reduce_sun @flow unittest.TestCase */\n");
  const { status, complaints } = features("--check", "--source", source);
  expect(status).toBe(1);
  expect(complaints).toContain("the tag '@flow math.reduce_sun' names nothing that is documented");
  expect(complaints).toContain("'@flow unittest.TestCase': the built package has no flow.unittest.TestCase");
});
