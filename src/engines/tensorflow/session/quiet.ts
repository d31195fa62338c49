import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { resolveNow, type System } from "./system.js";

// TensorFlow 2.21 says this on standard error at any log level, before it has read the level.
const noise =
  /^(WARNING: All log messages before absl::InitializeLog\(\)|[IW]\d{4} .*\] (oneDNN|This TensorFlow binary) )/;

/**
 * Leads standard error aside while the first of `libraries` that can be is loaded: until the function that it gives is called, or the
 * process exits; then all but TensorFlow's start-up lines comes out. Nothing is led aside on Windows, and on a thread of the
 * program's own, whose end could come before the way back.
 */
export function quiet(system: System, libraries: readonly string[]): () => void {
  const { posix } = system;
  if (posix === undefined || !isMainThread) return () => {};
  const aside = nameless();
  const before = posix.dup(2);
  posix.dup2(aside, 2);
  const loud = (): void => {
    process.off("exit", loudAtExit);
    posix.dup2(before, 2);
    closeSync(before);
    const text = Buffer.alloc(fstatSync(aside).size);
    readSync(aside, text, 0, text.length, 0);
    closeSync(aside);
    for (const line of text.toString().split(/(?<=\n)/)) if (!noise.test(line)) writeSync(2, line);
  };
  // The thread that loads goes on to the end, whether it has begun or not: here it is waited for, or done before.
  const loudAtExit = (): void => {
    libraries.some((path) => posix.dlopen(path, resolveNow));
    loud();
  };
  process.on("exit", loudAtExit);
  return loud;
}

/** A file that is gone when its descriptor is closed, however the process ends. */
function nameless(): number {
  const folder = mkdtempSync(join(tmpdir(), "onestep-stderr-"));
  const descriptor = openSync(join(folder, "stderr"), "a+");
  rmSync(folder, { recursive: true });
  return descriptor;
}

/** An action while the environment of the process says more; what the user set stays. */
export async function withEnvironment<T>(
  { posix }: System,
  wanted: Readonly<Record<string, string>>,
  action: () => Promise<T>,
): Promise<T> {
  const added = Object.entries(wanted).filter(([name]) => process.env[name] === undefined);
  // Native code reads the process's environment, of which a thread's process.env is a copy.
  for (const [name, value] of added) posix?.setenv(name, value, 0);
  try {
    return await action();
  } finally {
    for (const [name] of added) posix?.unsetenv(name);
  }
}
