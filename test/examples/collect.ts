import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What stands behind ```` ```ts ````: a program; statements of a job; a program that must throw; one that is not run. */
export type Kind = "program" | "job" | "throws" | "job throws" | "no-run";

/** A fence of TypeScript in a document or a docstring. */
export interface Example {
  /** `path:line`, the line of the first line of code. */
  readonly name: string;
  readonly line: number;
  readonly kind: Kind;
  readonly code: string;
  /** The plain fence that follows a `throws` one: the error's message, `...` for what differs from machine to machine. */
  readonly message: string | undefined;
}

const kinds: readonly string[] = ["program", "job", "throws", "job throws", "no-run"] satisfies Kind[];

/** The examples of a text. `first` is the number of its first line. */
export function examplesIn(path: string, text: string, first = 1): Example[] {
  const fences = [...text.matchAll(/^( *)```(.*)\n([\s\S]*?)^ *```$/gm)].map((match) => ({
    info: match[2]!.trim(),
    code: match[3]!.replaceAll(new RegExp(`^${match[1]!}`, "gm"), ""),
    line: first + text.slice(0, match.index).split("\n").length,
  }));
  return fences.flatMap(({ info, code, line }, i) => {
    if (!/^(ts|typescript|js|javascript)\b/.test(info)) return [];
    const kind = /^ts(?: (.+))?$/.exec(info)?.[1] ?? (info === "ts" ? "program" : undefined);
    if (kind === undefined || !kinds.includes(kind))
      throw new Error(
        `${path}:${line}: the fence says '${info}', expected ts, alone or with ${kinds.slice(1).join(", ")}`,
      );
    const next = fences[i + 1];
    const message = kind.endsWith("throws") && next?.info === "" ? next.code.trim() : undefined;
    return [{ name: `${path}:${line}`, line, kind: kind as Kind, code, message }];
  });
}

/** The examples in the docstrings of a source. */
export function docstringExamples(path: string, source: string): Example[] {
  return [...source.matchAll(/^[ \t]*\/\*\*[\s\S]*?\*\//gm)].flatMap((comment) => {
    const first = source.slice(0, comment.index).split("\n").length;
    const text = comment[0].replaceAll(/^[ \t]*(?:\/\*\*|\*\/|\*) ?/gm, "");
    const found = examplesIn(path, text, first);
    const tags = text.match(/@example\b/g)?.length ?? 0;
    if (tags !== found.length)
      throw new Error(`${path}:${first}: ${tags} @example and ${found.length} fences of ts, expected one each`);
    return found;
  });
}

/** Every example of the project: README.md, docs/*.md and the docstrings of src/. */
export function allExamples(root: string): Example[] {
  const read = (path: string): string => readFileSync(join(root, path), "utf8").replaceAll("\r\n", "\n");
  const pages = readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`);
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `src/${name.replaceAll("\\", "/")}`);
  return [
    ...["README.md", ...pages.sort()].flatMap((path) => examplesIn(path, read(path))),
    ...sources.sort().flatMap((path) => docstringExamples(path, read(path))),
  ];
}
