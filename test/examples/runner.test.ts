import { expect, test } from "vitest";
import { docstringExamples, examplesIn } from "./collect.js";
import { programOf } from "./program.js";
import { type Outcome, runExamples } from "./runner.js";

const fence = (info: string, code: string): string => `\`\`\`${info}\n${code}\n\`\`\`\n`;

/** Outcomes of the fences of a text, in order. */
async function run(text: string): Promise<Outcome[]> {
  return [...(await runExamples(examplesIn("page.md", text))).values()];
}

test("the runner tells right examples from wrong ones", async () => {
  const sum = "// x = [[1, 2], [3, 4]]\nflow.math.reduceSum(x, { axis: 0 }); // -> ";
  const outcomes = await run(
    [
      fence("ts job", `${sum}[4, 6]`),
      fence("ts job", `${sum}[4, 7]`),
      fence("ts job", `${sum}[4, 6, 8]`),
      fence("ts", "const a = 1 + 1; // -> 2\nconsole.log([a, 'b']); // -> [2, 'b']\n({ a }); // -> { a: 3 }"),
      fence("ts", "const a: string = 1;"),
      fence("ts", "await flow.clearDefaultSession(); // throws E_SHAPE"),
      fence("ts", "flow.math.relu(1 as never); // throws E_OUTSIDE_JOB"),
      fence("ts throws", "flow.config.seed(-1);"),
      fence("ts throws", "flow.config.seed(1);"),
      fence("ts no-run", "process.exit(1);"),
      fence("ts", "void Promise.reject(new Error('forgotten'));"),
      fence("ts", "process.exit(3);"),
      fence("ts", "export const last = 1;"),
    ].join("\n"),
  );
  const errors = outcomes.map(({ error }) => error?.message);
  expect(errors).toEqual([
    undefined,
    "line 8: got [4,6], the example says [4,7]",
    "line 13: got [4,6], the example says [4,6,8]",
    'line 19: got {"a":2}, the example says {"a":3}',
    undefined,
    "line 27: threw nothing, the example says E_SHAPE",
    undefined,
    "config.seed: got -1, expected an integer from 0 to 2^53 - 1 [E_ARGUMENT]",
    undefined,
    undefined,
    "forgotten",
    "its process ended: 3",
    undefined,
  ]);
  expect(outcomes.map(({ types }) => types.length)).toEqual([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  expect(outcomes.map(({ checks }) => checks)).toEqual([1, 1, 1, 3, 0, 1, 1, 0, 0, 0, 0, 0, 0]);
}, 120_000);

test("fences are found in documents and docstrings, with their lines", () => {
  const source =
    "/**\n * Text.\n * @example\n * ```ts job\n * // x = [1]\n * x; // -> [1]\n * ```\n */\nexport const a = 1;\n";
  expect(docstringExamples("a.ts", source)).toEqual([
    { name: "a.ts:5", line: 5, kind: "job", code: "// x = [1]\nx; // -> [1]\n", message: undefined },
  ]);
  const page = `Text\n${fence("", "plain")}${fence("ts throws", "code")}${fence("", "the message")}${fence("python", "x")}`;
  expect(examplesIn("p.md", page)).toEqual([
    { name: "p.md:6", line: 6, kind: "throws", code: "code\n", message: "the message" },
  ]);
  expect(() => examplesIn("p.md", fence("js", "x"))).toThrow("p.md:2: the fence says 'js'");
  expect(() => docstringExamples("a.ts", "/**\n * @example flow.relu(x)\n */")).toThrow(
    "a.ts:1: 1 @example and 0 fences",
  );
});

test("an expectation that no statement precedes is an error", () => {
  const [example] = examplesIn("p.md", fence("ts", "if (true) {\n} // -> 1"));
  expect(() => programOf(example!)).toThrow("p.md:2: 1 comments with an expectation, 0 of them");
});
