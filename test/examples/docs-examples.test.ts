import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { allExamples, type Example } from "./collect.js";
import { type Outcome, runExamples } from "./runner.js";

// Every ```ts of README.md, docs/*.md and the docstrings is a program: it compiles, runs and gives what it says. program.ts tells
// how to write one.
const examples = allExamples(fileURLToPath(new URL("../..", import.meta.url)));
let outcomes: ReadonlyMap<Example, Outcome>;
beforeAll(async () => {
  outcomes = await runExamples(examples);
}, 600_000);

/** A quoted message as a pattern: `...` stands for what differs from machine to machine. */
const pattern = (message: string): RegExp =>
  new RegExp(
    `^${message
      .replaceAll(/\s+/g, " ")
      .replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")
      .replaceAll("\\.\\.\\.", ".*")}$`,
  );

test.each(examples.map((example) => [example.name, example] as const))("%s", (_, example) => {
  const { types, error } = outcomes.get(example)!;
  expect(types).toEqual([]);
  if (!example.kind.endsWith("throws")) {
    expect(error).toBeUndefined();
    return;
  }
  expect(error?.code, `${error?.message ?? "it threw nothing"}`).toMatch(/^E_/);
  if (example.message !== undefined) expect(error!.message.replaceAll(/\s+/g, " ")).toMatch(pattern(example.message));
});

test("there are examples in the README, in the guides and in the docstrings", () => {
  const files = new Set(examples.map(({ name }) => name.split(":")[0]));
  expect(files).toContain("README.md");
  expect([...files].filter((file) => file!.startsWith("src/")).length).toBeGreaterThan(15);
  expect([...outcomes.values()].reduce((sum, { checks }) => sum + checks, 0)).toBeGreaterThan(40);
});
