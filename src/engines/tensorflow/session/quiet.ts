import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { openKoffi } from "../../koffi.js";

// TensorFlow 2.21 says this on standard error at any log level, before it has read the level.
const noise =
  /^(WARNING: All log messages before absl::InitializeLog\(\)|[IW]\d{4} .*\] (oneDNN|This TensorFlow binary) )/;

/**
 * Leads standard error aside until the function that it gives is called; then all but TensorFlow's start-up lines comes out. Nothing
 * is led aside without koffi, on Windows, and on a thread of the program's own, whose end could come before the way back.
 */
export async function quiet(): Promise<() => void> {
  const system = isMainThread ? await systemCalls() : undefined;
  if (system === undefined) return () => {};
  const aside = nameless();
  const before = system.dup(2);
  system.dup2(aside, 2);
  let over = false;
  return () => {
    if (over) return;
    over = true;
    system.dup2(before, 2);
    closeSync(before);
    const text = Buffer.alloc(fstatSync(aside).size);
    readSync(aside, text, 0, text.length, 0);
    closeSync(aside);
    for (const line of text.toString().split(/(?<=\n)/)) if (!noise.test(line)) writeSync(2, line);
  };
}

/** A file that is gone when its descriptor is closed, however the process ends. */
function nameless(): number {
  const folder = mkdtempSync(join(tmpdir(), "onestep-stderr-"));
  const descriptor = openSync(join(folder, "stderr"), "a+");
  rmSync(folder, { recursive: true });
  return descriptor;
}

interface SystemCalls {
  dup(fd: number): number;
  dup2(from: number, to: number): number;
}

async function systemCalls(): Promise<SystemCalls | undefined> {
  if (process.platform === "win32") return undefined;
  const koffi = await openKoffi();
  try {
    const library = koffi?.load(process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6");
    return library && { dup: library.func("int dup(int)"), dup2: library.func("int dup2(int, int)") };
  } catch {
    return undefined;
  }
}
