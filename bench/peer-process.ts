import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** What a peer answers; which fields are there depends on the question (`peers/serve.ts`). */
export interface Answer {
  readonly error?: string;
  readonly version?: string;
  readonly importMs?: number;
  readonly openMs?: number;
  readonly flop?: number;
  readonly peak?: number;
  readonly ms?: readonly number[];
  readonly losses?: readonly number[];
  readonly rss?: number;
}

export interface PeerOptions {
  readonly threads: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Shows what the peer says on stderr. */
  readonly verbose?: boolean;
}

/** The first `count` processors this process may use, as `taskset -c` takes them; undefined where that cannot be. */
function processors(count: number): string | undefined {
  if (process.platform !== "linux" || spawnSync("taskset", ["--version"]).status !== 0) return undefined;
  const allowed = /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]!;
  const all = allowed.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number) as [number, number?];
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  return all.slice(0, count).join(",");
}

/** How every program that is timed is started: on as many processors as it may have threads, where the system can say so. */
export function pinned(command: readonly string[], threads: number): readonly string[] {
  const list = processors(threads);
  return list === undefined ? command : ["taskset", "-c", list, ...command];
}

/** Settings of every framework's thread pools; those that read none see only the pinned processors. */
export const threadSettings = (threads: number): Readonly<Record<string, string>> => ({
  OMP_NUM_THREADS: String(threads),
  MKL_NUM_THREADS: String(threads),
  OPENBLAS_NUM_THREADS: String(threads),
  TF_NUM_INTRAOP_THREADS: String(threads),
  TF_NUM_INTEROP_THREADS: "1",
  TF_CPP_MIN_LOG_LEVEL: "3",
});

/** A peer in a process of its own, one question at a time. */
export class PeerProcess {
  readonly #process: ChildProcess;
  readonly #answers: ((answer: Answer) => void)[] = [];
  readonly #ended: Promise<void>;
  constructor(
    readonly name: string,
    command: readonly string[],
    { threads, cwd, env, verbose = false }: PeerOptions,
  ) {
    const [file, ...args] = pinned(command, threads);
    this.#process = spawn(file!, args, {
      stdio: ["pipe", "pipe", verbose ? "inherit" : "ignore"],
      env: { ...process.env, ...threadSettings(threads), ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    // A peer that died is told by its exit.
    this.#process.stdin!.on("error", () => undefined);
    createInterface({ input: this.#process.stdout! }).on("line", (line) => {
      if (line.startsWith("{")) this.#answers.shift()?.(JSON.parse(line) as Answer);
    });
    this.#ended = new Promise((resolve) => {
      const end = (error: string): void => {
        for (const answer of this.#answers.splice(0)) answer({ error });
        resolve();
      };
      this.#process.on("exit", (code, signal) => end(`it ended with ${signal ?? `exit code ${code}`}`));
      this.#process.on("error", ({ message }) => end(message));
    });
  }

  /** An error where the peer takes more than `seconds`. */
  ask(question: object, seconds = 600): Promise<Answer> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ error: `no answer within ${seconds} s` }), seconds * 1000);
      this.#answers.push((answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.#process.stdin!.write(`${JSON.stringify(question)}\n`);
    });
  }

  /** Resolves when the process is gone, and its memory free. */
  close(): Promise<void> {
    if (this.#process.exitCode === null) this.#process.kill("SIGKILL");
    return this.#ended;
  }
}
