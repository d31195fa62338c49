import { fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import type { Example } from "./collect.js";
import { globals, programOf } from "./program.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What became of an example: what the compiler said, and how its run ended. */
export interface Outcome {
  readonly types: readonly string[];
  /** How many expectations were compared. */
  readonly checks: number;
  readonly error: { readonly message: string; readonly code?: string } | undefined;
}

/** Type-checks all examples in one program, then runs those that are to be run, in a few processes. */
export async function runExamples(examples: readonly Example[]): Promise<ReadonlyMap<Example, Outcome>> {
  const folder = mkdtempSync(join(tmpdir(), "onestep-examples-"));
  try {
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(root, join(folder, "node_modules", "onestep"), "junction");
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    writeFileSync(join(folder, "globals.d.ts"), globals);
    const path = (i: number, extension: string): string => join(folder, `example-${i}.${extension}`);
    for (const [i, example] of examples.entries()) {
      const program = programOf(example);
      writeFileSync(path(i, "ts"), program);
      writeFileSync(path(i, "js"), ts.transpileModule(program, { compilerOptions: emitted }).outputText);
    }
    const types = typeErrors([join(folder, "globals.d.ts"), ...examples.map((_, i) => path(i, "ts"))]);
    const runs = await runAll(
      examples.flatMap((example, i) =>
        example.kind === "no-run" ? [] : [{ program: path(i, "js"), folder: join(folder, `run-${i}`) }],
      ),
    );
    return new Map(
      examples.map((example, i) => [
        example,
        { checks: 0, error: undefined, ...runs.get(path(i, "js")), types: types.get(path(i, "ts")) ?? [] },
      ]),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts"],
  types: ["node"],
  typeRoots: [join(root, "node_modules/@types")],
  strict: true,
  noUncheckedIndexedAccess: true,
  noEmit: true,
  skipLibCheck: true,
};

const emitted: ts.CompilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };

function typeErrors(files: readonly string[]): ReadonlyMap<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { file, start, messageText } of ts.getPreEmitDiagnostics(ts.createProgram(files, compilerOptions))) {
    const text = ts.flattenDiagnosticMessageText(messageText, "\n");
    if (file === undefined) throw new Error(text);
    const line = file.text.slice(0, start).split("\n").length;
    const where = `${text}\n  ${file.text.split("\n")[line - 1]!.trim()}`;
    const name = files.find((path) => path.replaceAll("\\", "/") === file.fileName) ?? file.fileName;
    found.set(name, [...(found.get(name) ?? []), where]);
  }
  return found;
}

interface Task {
  readonly program: string;
  readonly folder: string;
}
type Run = Pick<Outcome, "checks" | "error">;

async function runAll(tasks: readonly Task[]): Promise<ReadonlyMap<string, Run>> {
  const queue = [...tasks];
  const results = new Map<string, Run>();
  const count = Math.min(4, availableParallelism(), queue.length);
  await Promise.all(Array.from({ length: count }, () => worker(queue, results)));
  return results;
}

/** A process that takes tasks until none is left; one that dies or hangs is reported, and another goes on. */
async function worker(queue: Task[], results: Map<string, Run>): Promise<void> {
  while (queue.length > 0) {
    const child = fork(join(root, "test/examples/run.mjs"), { stdio: ["ignore", "pipe", "pipe", "ipc"] });
    child.stdout?.resume();
    child.stderr?.resume();
    for (let task = queue.shift(); task !== undefined; task = queue.shift()) {
      const run = await new Promise<Run | string>((resolve) => {
        const timer = setTimeout(() => resolve("it did not end within a minute"), 60_000);
        const done = (result: Run | string): void => {
          clearTimeout(timer);
          child.removeAllListeners("message").removeAllListeners("exit");
          resolve(result);
        };
        child.once("message", (message) => done(message as Run));
        child.once("exit", (code, signal) => done(`its process ended: ${code ?? signal}`));
        child.send(task!);
      });
      results.set(task.program, typeof run === "string" ? { checks: 0, error: { message: run } } : run);
      if (typeof run === "string") break;
    }
    child.kill();
  }
}
