// strace on a running program: what it calls, or with one call refused or fatal.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync } from "node:fs";

/** Calls through which a save or load touches files; those a machine does not have are left out with `?`. */
export const calls = [
  ...[
    "openat",
    "open",
    "mkdir",
    "mkdirat",
    "pwrite64",
    "pread64",
    "fsync",
    "fdatasync",
    "close",
    "rename",
    "renameat",
    "renameat2",
  ],
  ...["statx", "newfstatat", "fstat", "lstat", "getdents64", "readlink", "readlinkat", "unlink", "unlinkat", "rmdir"],
];

/** Attaches strace to all threads of `pid`; resolves to what detaches it and gives the traced lines. */
export async function attach(pid, log, inject = []) {
  const filter = ["-e", `trace=${calls.map((name) => `?${name}`).join(",")}`];
  const args = ["-f", "-y", "-qq", "-o", log, "-p", String(pid), ...filter, ...inject.flatMap((rule) => ["-e", rule])];
  // Without -qq it would say so; asking the kernel is as good: every thread has a tracer.
  const tracer = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
  let complaint = "";
  tracer.stderr.on("data", (data) => {
    complaint += data;
  });
  const ended = once(tracer, "exit");
  while (!traced(pid)) {
    if (tracer.exitCode !== null) throw new Error(`strace: ${complaint}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return async () => {
    tracer.kill("SIGINT");
    await ended;
    const lines = readFileSync(log, "utf8").split("\n").filter(Boolean);
    rmSync(log, { force: true });
    return lines;
  };
}

function traced(pid) {
  try {
    return /TracerPid:\t[1-9]/.test(readFileSync(`/proc/${pid}/status`, "utf8")) && allThreads(pid);
  } catch {
    return true;
  }
}

function allThreads(pid) {
  return readdirSync(`/proc/${pid}/task`).every((thread) =>
    /TracerPid:\t[1-9]/.test(readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8")),
  );
}

/** `{ thread, call, path, to, line }` of each traced line, in order. */
export function parse(lines) {
  return lines.flatMap((line) => {
    const [, thread, call, rest] = /^(\d+) +(\w+)\((.*)$/.exec(line) ?? [];
    if (call === undefined) return [];
    const quoted = [...rest.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) => match[1]);
    const [, open] = /^\d+<([^>]*)>/.exec(rest) ?? [];
    return [{ thread, call, path: open ?? quoted[0], to: quoted[1], line }];
  });
}
