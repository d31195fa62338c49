// tsx bench/checkpoint.ts --help: what saving and loading costs beside copying the same bytes with `cp -r` and `sync`, and reading them into
// memory (`readFileSync`, all kept: as a load does it takes new memory for all; `cat` to /dev/null beside it: what the disk alone takes),
// and, with a Python that has PyTorch, beside torch.save and torch.load of the same arrays; and how far the process's memory rises
// meanwhile. Rounds are interleaved; the table shows medians and, in brackets, the fastest.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import * as flow from "onestep";
import { pythonFor } from "./contestants.js";
import { models as benchModels } from "./models.js";
import { median } from "./statistics.js";

interface Checkpointed {
  readonly title: string;
  declare(): void;
}

/** That many variables of one size. */
const equal = (title: string, count: number, elements: number): Checkpointed => ({
  title,
  declare() {
    flow.globalFunction({ type: "predict", name: "hold", returns: flow.tp.Numpy }, [], () => {
      for (let i = 0; i < count; i++)
        flow.getVariable(`v${String(i).padStart(3, "0")}`, {
          shape: [elements],
          initializer: flow.constantInitializer(i + 0.5),
        });
      return flow.constant(1, { dtype: flow.float, shape: [1] });
    });
  },
});

const models: Readonly<Record<string, Checkpointed>> = {
  large: equal("20 variables of 100 MB", 20, 25_000_000),
  medium: equal("600 variables of 3.3 MB", 600, 833_333),
  small: equal("600 variables of 40 kB", 600, 10_000),
  bert: {
    title: "BERT-base with Adam",
    declare: () => void benchModels.bert!.declare({}),
  },
};

const options = new Command("checkpoint")
  .option("--models <names>", `comma-separated, of ${Object.keys(models).join(", ")}`, "large,medium,small,bert")
  .option("--rounds <n>", "rounds", "5")
  .option("--dir <folder>", "where files are written; default the system's temporary folder", tmpdir())
  .option("--python <path>", "a Python with PyTorch in place of bench/.venv")
  .option("--json <file>", "writes the rows there too")
  .parse()
  .opts<{ models: string; rounds: string; dir: string; python?: string; json?: string }>();
const rounds = Number(options.rounds);
const root = mkdtempSync(join(options.dir, "onestep-bench-"));
const python = pythonFor(options.python);

/** Peak of resident memory since the last call, and now, in MB; the peak is the kernel's own where it can be reset. */
function memory(): { readonly peak: number; readonly now: number } {
  let peak = 0;
  try {
    peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) / 1024;
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    peak = process.resourceUsage().maxRSS / 1024;
  }
  return { peak, now: process.memoryUsage.rss() / 2 ** 20 };
}

async function timed(work: () => unknown): Promise<{ readonly seconds: number; readonly rise: number }> {
  // What was collected is given back a little later, on another thread.
  globalThis.gc?.();
  await new Promise((resolve) => setTimeout(resolve, 300));
  memory();
  const before = memory().now;
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  return { seconds, rise: memory().peak - before };
}

const shell = (command: string): void => {
  execFileSync("sh", ["-c", command], { stdio: "inherit" });
};
function dropCaches(): boolean {
  try {
    execFileSync("sync");
    writeFileSync("/proc/sys/vm/drop_caches", "3");
    return true;
  } catch {
    return false;
  }
}

/** PyTorch in a process of its own, which says how long it took. */
class Torch {
  readonly #process: ChildProcess;
  readonly #answers: ((seconds: number) => void)[] = [];
  constructor(command: string) {
    this.#process = spawn(command, [fileURLToPath(new URL("programs/checkpoint.py", import.meta.url))], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    createInterface({ input: this.#process.stdout! }).on("line", (line) =>
      this.#answers.shift()?.((JSON.parse(line) as { seconds: number }).seconds),
    );
    this.#process.on("exit", (code) => {
      if (this.#answers.length > 0) throw new Error(`PyTorch ended with exit code ${code}`);
    });
  }
  ask(cmd: "read" | "save" | "load", path: string): Promise<number> {
    return new Promise((resolve) => {
      this.#answers.push(resolve);
      this.#process.stdin!.write(`${JSON.stringify({ cmd, path })}\n`);
    });
  }
  close(): void {
    this.#process.stdin!.end();
  }
}

console.log(
  `${cpus()[0]!.model}, ${cpus().length} cores, Node ${process.version}, medians of ${rounds} rounds (fastest)`,
);
const reports: { readonly title: string; readonly rows: readonly (readonly string[])[] }[] = [];
try {
  for (const name of options.models.split(",")) {
    const model = models[name];
    if (model === undefined) throw new Error(`model '${name}' is unknown, expected ${Object.keys(models).join(", ")}`);
    const path = (name: string): string => join(root, name);
    const check = new flow.train.CheckPoint();
    const times = new Map<string, number[]>();
    const rises = new Map<string, number>();
    const measure = async (name: string, work: () => unknown): Promise<void> => {
      const { seconds, rise } = await timed(work);
      times.set(name, [...(times.get(name) ?? []), seconds]);
      rises.set(name, Math.max(rises.get(name) ?? 0, rise));
    };
    const clear = (...names: readonly string[]): void => {
      for (const name of names) rmSync(path(name), { recursive: true, force: true });
      execFileSync("sync");
    };

    const readAll = (): void => {
      const kept: Uint8Array[] = [];
      for (const name of readdirSync(path("first"))) {
        const file = join(path("first"), name, "out");
        if (existsSync(file)) kept.push(readFileSync(file));
      }
      bytes = kept.reduce((sum, { length }) => sum + length, 0);
    };

    let bytes = 0;
    model.declare();
    await check.init();
    await check.save(path("first"));
    const torch = python === undefined ? undefined : new Torch(python);
    await torch?.ask("read", path("first"));
    const measureTorch = async (name: string, cmd: "save" | "load"): Promise<void> => {
      if (torch === undefined) return;
      times.set(name, [...(times.get(name) ?? []), await torch.ask(cmd, path("torch"))]);
    };
    for (let round = 0; round < rounds; round++) {
      clear("copy", "saved");
      await measure("cp -r + sync", () => shell(`cp -r ${path("first")} ${path("copy")} && sync`));
      clear("copy", "saved");
      await measure("save", () => check.save(path("saved")));
      clear("copy", "saved");
      await measure("save in background", () => check.save(path("saved"), { background: true }));
      clear("saved", "torch");
      await measureTorch("torch.save + fsync", "save");
    }
    for (let round = 0; round < rounds; round++) {
      await flow.clearDefaultSession();
      model.declare();
      // Compiles, so that only the load is timed.
      await check.load(path("first"), { dryRun: true, verify: false });
      const cold = dropCaches();
      if (cold) await measure("cat, cold cache", () => shell(`cat ${path("first")}/*/out > /dev/null`));
      if (cold) dropCaches();
      if (cold) await measure("read, cold cache", readAll);
      if (cold) dropCaches();
      if (cold) await measure("load, cold cache", () => check.load(path("first")));
      await flow.clearDefaultSession();
      model.declare();
      await check.load(path("first"), { dryRun: true, verify: false });
      await measure("cat, warm cache", () => shell(`cat ${path("first")}/*/out > /dev/null`));
      await measure("read, warm cache", readAll);
      await measure("load, warm cache", () => check.load(path("first")));
      await flow.clearDefaultSession();
      model.declare();
      await check.load(path("first"), { dryRun: true, verify: false });
      await measure("load, warm, not verified", () => check.load(path("first"), { verify: false }));
      await measureTorch("torch.load, warm cache", "load");
    }
    torch?.close();
    await flow.clearDefaultSession();
    clear("first", "copy", "saved", "torch");
    const beside: Readonly<Record<string, string>> = {
      save: "cp -r + sync",
      "save in background": "cp -r + sync",
      "load, cold cache": "read, cold cache",
      "load, warm cache": "read, warm cache",
      "load, warm, not verified": "read, warm cache",
      "torch.save + fsync": "save",
      "torch.load, warm cache": "load, warm cache",
    };
    const title = `${model.title}, ${(bytes / 2 ** 20).toFixed(0)} MB`;
    const rows = [...times].map(([name, list]) => {
      const against = beside[name];
      const ratio = against === undefined ? "" : (median(list) / median(times.get(against)!)).toFixed(2);
      const risen = rises.get(name);
      const rise = against === undefined || risen === undefined ? "" : `+${risen.toFixed(0)}`;
      return [name, median(list).toFixed(3), Math.min(...list).toFixed(3), against ?? "", ratio, rise];
    });
    reports.push({ title, rows });
    console.log(`\n${title}`);
    for (const [name, middle, fastest, , ratio, rise] of rows) {
      const beside = ratio === "" ? "" : `${ratio} x   ${rise === "" ? "" : `memory ${rise} MB`}`;
      console.log(`  ${name!.padEnd(26)} ${middle!.padStart(7)} s (${fastest})  ${beside}`);
    }
  }
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(reports));
} finally {
  rmSync(root, { recursive: true, force: true });
}
