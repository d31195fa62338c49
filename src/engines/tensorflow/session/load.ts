import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

// TensorFlow 2.21 says this on standard error at any log level, before it has read the level.
const noise =
  /^(WARNING: All log messages before absl::InitializeLog\(\)|[IW]\d{4} .*\] (oneDNN|This TensorFlow binary) )/;

/** A native module, and whether its library stays in the process when the thread that has loaded it ends. */
export interface Loaded {
  readonly exports: unknown;
  readonly stays: boolean;
}

/**
 * Loads tfjs-node's binding without TensorFlow's start-up lines on standard error, and for good: a thread that ends unloads
 * what only it has loaded, and the process crashes when the code of TensorFlow's own threads is gone. What else is written to
 * standard error meanwhile comes after it. Without koffi, and on Windows, the binding is just loaded.
 */
export async function load(binding: string): Promise<Loaded> {
  const require = createRequire(import.meta.url);
  const system = await systemCalls();
  if (system === undefined) return { exports: require(binding), stays: false };
  const aside = nameless();
  const before = system.dup(2);
  try {
    system.dup2(aside, 2);
    const handle = system.dlopen(binding, resolveNow | system.neverUnload);
    return { exports: require(binding), stays: handle !== null };
  } finally {
    system.dup2(before, 2);
    closeSync(before);
    const text = Buffer.alloc(fstatSync(aside).size);
    readSync(aside, text, 0, text.length, 0);
    closeSync(aside);
    for (const line of text.toString().split(/(?<=\n)/)) if (!noise.test(line)) writeSync(2, line);
  }
}

/** A file that is gone when its descriptor is closed, however the process ends. */
function nameless(): number {
  const folder = mkdtempSync(join(tmpdir(), "onestep-stderr-"));
  const descriptor = openSync(join(folder, "stderr"), "a+");
  rmSync(folder, { recursive: true });
  return descriptor;
}

// dlfcn.h
const resolveNow = 2;

interface SystemCalls {
  dup(fd: number): number;
  dup2(from: number, to: number): number;
  dlopen(file: string, flags: number): unknown;
  readonly neverUnload: number;
}

async function systemCalls(): Promise<SystemCalls | undefined> {
  if (process.platform === "win32") return undefined;
  try {
    const { default: koffi } = await import("koffi");
    const mac = process.platform === "darwin";
    const library = koffi.load(mac ? "libSystem.B.dylib" : "libc.so.6");
    return {
      dup: library.func("int dup(int)"),
      dup2: library.func("int dup2(int, int)"),
      dlopen: library.func("void *dlopen(const char *, int)"),
      neverUnload: mac ? 0x80 : 0x1000,
    };
  } catch {
    return undefined;
  }
}
