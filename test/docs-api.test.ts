import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inflateSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(join(root, "node_modules/typedoc/package.json"));

/** Runs TypeDoc with the project's options and more. */
function typedoc(...args: string[]): { status: number | null; output: string } {
  const bin = join(root, "node_modules/typedoc/bin/typedoc");
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], { cwd: root, encoding: "utf8" });
  return { status, output: stdout + stderr };
}

interface Row {
  readonly name: string;
  readonly parent?: string;
}

/** The search of the pages, as their script does it: every word anywhere in a token. */
function searchOf(folder: string): (text: string) => string[] {
  const [, packed] = /window\.searchData = "(.*)"/.exec(readFileSync(join(folder, "assets/search.js"), "utf8"))!;
  const { rows, index } = JSON.parse(inflateSync(Buffer.from(packed!, "base64")).toString()) as {
    rows: Row[];
    index: object;
  };
  const lunr = require("lunr") as { Index: { load(index: object): { search(query: string): { ref: string }[] } } };
  const loaded = lunr.Index.load(index);
  return (text) =>
    loaded
      .search(`*${text}*`)
      .map(({ ref }) => rows[Number(ref)]!)
      .map(({ name, parent }) => (parent === undefined ? name : `${parent}.${name}`));
}

let folder = "";
let run: ReturnType<typeof typedoc>;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "onestep-api-"));
  run = typedoc("--html", join(folder, "api"), "--json", join(folder, "api.json"));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the API documentation is built without a warning: every public name has a docstring", () => {
  expect(run.output).not.toMatch(/warning|error/i);
  expect(run.status).toBe(0);
});

interface Reflection {
  readonly name: string;
  readonly kind: number;
  readonly comment?: object;
  readonly children?: readonly Reflection[];
}

test("every option has a docstring", () => {
  const [kindOfInterface, kindOfProperty] = [256, 1024];
  const bare: string[] = [];
  let options = 0;
  const visit = (reflection: Reflection): void => {
    if (reflection.kind === kindOfInterface && reflection.name.endsWith("Options"))
      for (const property of reflection.children ?? []) {
        if (property.kind !== kindOfProperty) continue;
        options++;
        if (property.comment === undefined) bare.push(`${reflection.name}.${property.name}`);
      }
    reflection.children?.forEach(visit);
  };
  visit(JSON.parse(readFileSync(join(folder, "api.json"), "utf8")) as Reflection);
  expect(options).toBeGreaterThan(100);
  expect(bare).toEqual([]);
});

test("a public name without a docstring fails the build", () => {
  writeFileSync(join(folder, "index.ts"), "export function bare(): void {}\n");
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { types: [] }, files: ["index.ts"] }));
  writeFileSync(
    join(folder, "typedoc.json"),
    JSON.stringify({ extends: join(root, "typedoc.json"), entryPoints: ["index.ts"], tsconfig: "tsconfig.json" }),
  );
  const { status, output } = typedoc("--options", join(folder, "typedoc.json"), "--out", join(folder, "bare"));
  expect(output).toContain("bare (CallSignature)");
  expect(output).toContain("does not have any documentation");
  expect(status).not.toBe(0);
});

test("typing reduce_sum finds math.reduceSum first, and every documented name finds its page", () => {
  const search = searchOf(join(folder, "api"));
  expect(search("reduce_sum")[0]).toBe("math.reduceSum");
  expect(search("flow.math.reduce_sum")[0]).toBe("math.reduceSum");
  expect(search("reduce_sun")).toEqual([]);
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((f) =>
    f.endsWith(".ts"),
  );
  const tags = new Set(
    sources.flatMap((file) =>
      [...readFileSync(join(root, "src", file), "utf8").matchAll(/@flow ([\w.]+)/g)].map((match) => match[1]!),
    ),
  );
  const camel = (name: string): string =>
    name.replace(/(?<=[a-z0-9])_(\w)/g, (_, letter: string) => letter.toUpperCase());
  // tp is the name that TypeDoc has for the module typing; members of constants are on the constant's page.
  const lost = [...tags].filter((tag) => {
    const name = camel(tag);
    const page = name.replace(/^typing\.(\w+).*/, "tp.$1");
    return !search(tag).some((found) => found === page || page.startsWith(`${found}.`));
  });
  expect(tags.size).toBeGreaterThan(150);
  expect(lost).toEqual([]);
});
