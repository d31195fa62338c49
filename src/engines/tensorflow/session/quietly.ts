import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// TensorFlow 2.21 says this on standard error at any log level, before it has read the level.
const noise =
  /^(WARNING: All log messages before absl::InitializeLog\(\)|[IW]\d{4} .*\] (oneDNN|This TensorFlow binary) )/;

/**
 * Runs `task` without TensorFlow's start-up lines on standard error; what else is written there meanwhile comes after it. Where
 * file descriptors cannot be moved, as on Windows or without koffi, `task` runs as it is.
 */
export async function quietly<T>(task: () => T): Promise<T> {
  const moves = await descriptors();
  if (moves === undefined) return task();
  const folder = mkdtempSync(join(tmpdir(), "onestep-stderr-"));
  const file = join(folder, "stderr");
  const aside = openSync(file, "a");
  const before = moves.dup(2);
  try {
    moves.dup2(aside, 2);
    return task();
  } finally {
    moves.dup2(before, 2);
    closeSync(before);
    closeSync(aside);
    const lines = readFileSync(file, "utf8").split(/(?<=\n)/);
    for (const line of lines) if (!noise.test(line)) writeSync(2, line);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function descriptors(): Promise<{ dup(fd: number): number; dup2(from: number, to: number): number } | undefined> {
  if (process.platform === "win32") return undefined;
  try {
    const { default: koffi } = await import("koffi");
    const library = koffi.load(process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6");
    return {
      dup: library.func("int dup(int)") as (fd: number) => number,
      dup2: library.func("int dup2(int, int)") as (from: number, to: number) => number,
    };
  } catch {
    return undefined;
  }
}
