import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly string[];
  readonly stderr: string;
}

/** Runs a program of this folder as a process of its own; `watch` sees each line of stdout as it comes. */
export function runProgram(
  name: string,
  argument: unknown,
  watch: (line: string, child: ChildProcess) => void = () => {},
): Promise<Ended> {
  const script = join(root, "test", "jobs", "programs", `${name}.ts`);
  const child = spawn(process.execPath, ["--import", "tsx", script, JSON.stringify(argument)], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  let rest = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    for (const line of parts) {
      lines.push(line);
      watch(line, child);
    }
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, lines, stderr }));
  });
}

/** One sha256 over the elements of all variables of a checkpoint, in order of their names. */
export function hashOf(dir: string): string {
  const hash = createHash("sha256");
  for (const entry of readdirSync(dir, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!entry.isDirectory() || entry.name === "snapshot_done") continue;
    hash.update(`${entry.name}\0`).update(readFileSync(join(dir, entry.name, "out")));
  }
  return hash.digest("hex");
}
