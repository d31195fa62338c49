import ts from "typescript";
import type { Example } from "./collect.js";

// How an example becomes a program:
// - `value; // -> [1, 2]` and `const y = ...; // -> [1, 2]` compare the value with the expression behind the arrow;
//   `console.log(value); // -> [1, 2]` does so too.
// - `await job(x); // throws E_LABEL` expects that error of that line.
// - ```ts job: statements of a job function. Comments at the top give its arguments: `// x = [[1, 2]]`,
//   `// labels: int32 = [0]`.
// - ```ts throws: the program, or the job, ends with a FlowError; the plain fence behind it gives the message.

/** What generated programs find as globals (run.mjs defines it). */
export const globals = `
declare function __check<T>(value: T, expected: () => unknown, line: number): T;
declare function __throws(run: () => unknown, code: string, line: number): Promise<void>;
declare function __job(
  feeds: readonly { readonly dtype: string; readonly value: unknown }[],
  fn: (out: typeof __check, ...blobs: any[]) => void,
): Promise<void>;
`;

const header = 'import * as flow from "onestep";\nimport { tp } from "onestep";\n';

/** The TypeScript program of an example. */
export function programOf({ name, line, kind, code }: Example): string {
  const inJob = kind.startsWith("job");
  const checked = withChecks(name, code, line, inJob ? "__out" : "__check");
  if (!inJob) return /from "onestep"/.test(code) ? checked : `${header}${checked}\nexport {};\n`;
  const feeds: string[] = [];
  const names: string[] = [];
  for (const comment of code.split("\n")) {
    const match = /^\/\/ (\w+)(?:: (\w+))? = (.+)$/.exec(comment);
    if (match === null) break;
    names.push(match[1]!);
    feeds.push(`{ dtype: "${match[2] ?? "float32"}", value: ${match[3]} }`);
  }
  const parameters = ["__out", ...names.map((n) => `${n}: flow.Blob`)].join(", ");
  return `${header}await __job([${feeds.join(", ")}], (${parameters}) => {\n${checked}\n});\nvoid tp;\n`;
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

function withChecks(name: string, code: string, line: number, check: string): string {
  const file = ts.createSourceFile("example.ts", code, ts.ScriptTarget.ES2022, true);
  const edits: Edit[] = [];
  let found = 0;
  const visit = (node: ts.Node): void => {
    if (ts.isExpressionStatement(node) || ts.isVariableStatement(node)) {
      const comment = ts.getTrailingCommentRanges(code, node.end)?.[0];
      const text = comment === undefined ? "" : code.slice(comment.pos, comment.end);
      const at = line + file.getLineAndCharacterOfPosition(node.getStart()).line;
      const expected = /^\/\/ -> (.+)$/.exec(text)?.[1];
      const thrown = /^\/\/ throws (E_\w+)/.exec(text)?.[1];
      if (expected !== undefined) {
        found++;
        const wrap = (value: string): string => `${check}(${value}, () => (${expected}), ${at})`;
        edits.push(checkOf(node, wrap));
      } else if (thrown !== undefined) {
        found++;
        const body = node.getText();
        edits.push({
          start: node.getStart(),
          end: node.end,
          text: `await __throws(async () => { ${body} }, "${thrown}", ${at});`,
        });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  const written = code.match(/\/\/ (?:->|throws E_)/g)?.length ?? 0;
  if (written !== found)
    throw new Error(
      `${name}: ${written} comments with an expectation, ${found} of them behind a statement of their line`,
    );
  return edits.reduceRight((text, { start, end, text: by }) => text.slice(0, start) + by + text.slice(end), code);
}

function checkOf(node: ts.ExpressionStatement | ts.VariableStatement, wrap: (value: string) => string): Edit {
  if (ts.isVariableStatement(node)) {
    const bound = node.declarationList.declarations[0]!.name.getText();
    return { start: node.end, end: node.end, text: ` ${wrap(bound)};` };
  }
  const { expression } = node;
  if (ts.isCallExpression(expression) && expression.expression.getText() === "console.log") {
    const argument = expression.arguments[0]!;
    return { start: argument.getStart(), end: argument.end, text: wrap(argument.getText()) };
  }
  return { start: node.getStart(), end: node.end, text: `${wrap(expression.getText())};` };
}
