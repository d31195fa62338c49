// tsx bench/checkpoint.ts: what saving and loading costs beside copying the same bytes with `cp -r` and `sync`, and reading them into memory
// (`readFileSync`, all kept: as a load does it takes new memory for all; `cat` to /dev/null beside it: what the disk alone takes);
// and how far the process's memory rises meanwhile. Rounds are interleaved; the table shows medians and, in brackets, the fastest.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import * as flow from "onestep";

const option = (name: string, otherwise: string): string => {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : process.argv[at + 1]!;
};
const rounds = Number(option("--rounds", "5"));
const root = mkdtempSync(join(option("--dir", tmpdir()), "onestep-bench-"));
const models = [
  { title: "20 variables of 100 MB", count: 20, elements: 25_000_000 },
  { title: "600 variables of 3.3 MB", count: 600, elements: 833_333 },
  { title: "600 variables of 40 kB", count: 600, elements: 10_000 },
].slice(0, Number(option("--models", "3")));

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
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

function declare(count: number, elements: number): void {
  flow.globalFunction({ type: "predict", name: "hold", returns: flow.tp.Numpy }, [], () => {
    for (let i = 0; i < count; i++)
      flow.getVariable(`v${String(i).padStart(3, "0")}`, {
        shape: [elements],
        initializer: flow.constantInitializer(i + 0.5),
      });
    return flow.constant(1, { dtype: flow.float, shape: [1] });
  });
}

console.log(
  `${cpus()[0]!.model}, ${cpus().length} cores, Node ${process.version}, medians of ${rounds} rounds (fastest)`,
);
try {
  for (const { title, count, elements } of models) {
    const model = (count * elements * 4) / 2 ** 20;
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
      for (const name of readdirSync(path("first")))
        if (name.startsWith("v")) kept.push(readFileSync(join(path("first"), name, "out")));
      if (kept.length !== count) throw new Error(`${kept.length} files`);
    };

    declare(count, elements);
    await check.init();
    await check.save(path("first"));
    for (let round = 0; round < rounds; round++) {
      clear("copy", "saved");
      await measure("cp -r + sync", () => shell(`cp -r ${path("first")} ${path("copy")} && sync`));
      clear("copy", "saved");
      await measure("save", () => check.save(path("saved")));
      clear("copy", "saved");
      await measure("save in background", () => check.save(path("saved"), { background: true }));
    }
    for (let round = 0; round < rounds; round++) {
      await flow.clearDefaultSession();
      declare(count, elements);
      // Compiles, so that only the load is timed.
      await check.load(path("first"), { dryRun: true, verify: false });
      const cold = dropCaches();
      if (cold) await measure("cat, cold cache", () => shell(`cat ${path("first")}/*/out > /dev/null`));
      if (cold) dropCaches();
      if (cold) await measure("read, cold cache", readAll);
      if (cold) dropCaches();
      if (cold) await measure("load, cold cache", () => check.load(path("first")));
      await flow.clearDefaultSession();
      declare(count, elements);
      await check.load(path("first"), { dryRun: true, verify: false });
      await measure("cat, warm cache", () => shell(`cat ${path("first")}/*/out > /dev/null`));
      await measure("read, warm cache", readAll);
      await measure("load, warm cache", () => check.load(path("first")));
      await flow.clearDefaultSession();
      declare(count, elements);
      await check.load(path("first"), { dryRun: true, verify: false });
      await measure("load, warm, not verified", () => check.load(path("first"), { verify: false }));
    }
    await flow.clearDefaultSession();
    clear("first", "copy", "saved");
    const beside: Readonly<Record<string, string>> = {
      save: "cp -r + sync",
      "save in background": "cp -r + sync",
      "load, cold cache": "read, cold cache",
      "load, warm cache": "read, warm cache",
      "load, warm, not verified": "read, warm cache",
    };
    console.log(`\n${title}, ${model.toFixed(0)} MB`);
    for (const [name, list] of times) {
      const against = beside[name] === undefined ? undefined : median(times.get(beside[name])!);
      const ratio = against === undefined ? "" : `${(median(list) / against).toFixed(2)} x`;
      const rise = against === undefined ? "" : `memory +${rises.get(name)!.toFixed(0)} MB`;
      console.log(
        `  ${name.padEnd(26)} ${median(list).toFixed(3).padStart(7)} s (${Math.min(...list).toFixed(3)})  ${ratio.padStart(7)}  ${rise}`,
      );
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
