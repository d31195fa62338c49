// npm run bench -- [--rounds 7] [--threads 2] [--python python3] [--out bench/results]
// Each case in interleaved rounds against every peer that is there; results are checked equal first.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, cpus, platform, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { type Case, cases, flopsOf, type ModelCase, modelCases } from "./cases.js";
import { profile } from "./profile.js";

const options = new Command("bench")
  .option("--rounds <n>", "rounds per case", "7")
  .option("--threads <n>", "threads of every peer", String(Math.min(2, cpus().length)))
  .option("--python <path>", "a Python that has PyTorch")
  .option("--cases <names>", "comma-separated; all but the full-size models where left out")
  .option("--peers <names>", "comma-separated, besides onestep; all that are there where left out")
  .option("--no-tfjs", "without TensorFlow.js")
  .option("--profile", "prints where a step of each case spends its time, by kind of op, and measures nothing")
  .option("--out <folder>", "where results go", "bench/results")
  .parse()
  .opts<{
    rounds: string;
    threads: string;
    python?: string;
    cases?: string;
    peers?: string;
    tfjs: boolean;
    profile?: boolean;
    out: string;
  }>();
const isAsked = ({ name }: { readonly name: string }): boolean | undefined => options.cases?.split(",").includes(name);
const chosen = [...cases.filter((c) => isAsked(c) ?? true), ...modelCases.filter((c) => isAsked(c) ?? false)];
const rounds = Number(options.rounds);
const threads = Number(options.threads);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

interface Answer {
  readonly error?: string;
  readonly version?: string;
  readonly torch?: string;
  readonly openMs?: number;
  readonly flop?: number;
  readonly peak?: number;
  readonly ms?: readonly number[];
  readonly losses?: readonly number[];
  readonly rss?: number;
}

/** A peer in a process of its own, one question at a time. */
class Peer {
  readonly #process: ChildProcess;
  readonly #answers: ((answer: Answer) => void)[] = [];
  constructor(
    readonly name: string,
    command: readonly string[],
    options: { readonly cwd?: string; readonly env?: Record<string, string>; readonly stderr?: "ignore" } = {},
  ) {
    const pinned = { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) };
    this.#process = spawn(command[0]!, command.slice(1), {
      stdio: ["pipe", "pipe", options.stderr ?? "inherit"],
      env: { ...process.env, ...pinned, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    createInterface({ input: this.#process.stdout! }).on("line", (line) => {
      if (line.startsWith("{")) this.#answers.shift()?.(JSON.parse(line) as Answer);
    });
    this.#process.on("exit", (code) => {
      for (const resolve of this.#answers.splice(0)) resolve({ error: `exited with ${code}` });
    });
  }
  ask(question: object): Promise<Answer> {
    return new Promise((resolve) => {
      this.#answers.push(resolve);
      this.#process.stdin!.write(`${JSON.stringify(question)}\n`);
    });
  }
  close(): void {
    this.#process.stdin!.end(`${JSON.stringify({ cmd: "close" })}\n`);
  }
}

if (options.tfjs && !options.profile)
  spawnSync("npm", ["install", "--prefix", here("tfjs"), "--ignore-scripts", "--no-audit", "--no-fund"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
const tsx = [process.execPath, "--import", import.meta.resolve("tsx")];
interface Contestant {
  readonly command: readonly string[];
  readonly env?: Record<string, string>;
}
const quiet = { TF_CPP_MIN_LOG_LEVEL: "3", TF_NUM_INTRAOP_THREADS: String(threads) };
const contestants: Record<string, Contestant> = {
  onestep: { command: [...tsx, here("peers/onestep.ts")], env: { ONESTEP_ENGINE: "onnx" } },
  "onestep tensorflow": { command: [...tsx, here("peers/onestep.ts")], env: { ONESTEP_ENGINE: "tensorflow" } },
  ...(options.tfjs
    ? {
        "tfjs-node eager": { command: [...tsx, here("peers/tfjs.ts"), "tensorflow"], env: quiet },
        "tfjs wasm": { command: [...tsx, here("peers/tfjs.ts"), "wasm"] },
        "tfjs cpu": { command: [...tsx, here("peers/tfjs.ts"), "cpu"] },
      }
    : {}),
  ...(options.python === undefined
    ? {}
    : { "PyTorch eager": { command: [options.python, here("peers/torch_eager.py")] } }),
};

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const spread = (values: readonly number[]): string => {
  const sorted = [...values].sort((a, b) => a - b);
  return `${sorted[Math.floor(values.length * 0.1)]!.toFixed(3)}-${sorted[Math.floor(values.length * 0.9)]!.toFixed(3)}`;
};

interface Result {
  readonly case: string;
  readonly peer: string;
  readonly version: string;
  readonly steps: number;
  readonly medianMs: number;
  readonly minMs: number;
  readonly spreadMs: string;
  readonly ratioToOnestep: number;
  readonly rssMb: number | undefined;
  /** From declaring the job to its first step: tracing, compiling, first values. */
  readonly openMs: number | undefined;
  /** Of a step, where the job was asked. */
  readonly flop: number | undefined;
}

/** TensorFlow.js on its slow backends. */
const isTfjs = ({ name }: { readonly name: string }): boolean => name.startsWith("tfjs ");

async function measure(benchCase: Case | ModelCase): Promise<readonly Result[]> {
  const peers: { peer: Peer; slow: boolean; opened: Answer; ms: number[]; rss: number | undefined }[] = [];
  const firstLosses = new Map<string, readonly number[]>();
  for (const [name, { command, env }] of Object.entries(contestants)) {
    if (name !== "onestep" && options.peers?.split(",").includes(name) === false) continue;
    if ("model" in benchCase && !name.startsWith("onestep")) continue;
    if (isTfjs({ name }) && "withoutTfjs" in benchCase) continue;
    const peer = new Peer(name, command, env === undefined ? {} : { env });
    const opened = await peer.ask({ cmd: "open", case: benchCase, threads });
    const first = opened.error === undefined ? await peer.ask({ cmd: "steps", n: 2 }) : opened;
    if (first.error !== undefined) {
      console.error(`${benchCase.name}: ${name} left out: ${first.error}`);
      peer.close();
      continue;
    }
    firstLosses.set(name, first.losses!);
    // One that takes seconds a step is not asked again: its first steps stand for it.
    const slow = Math.min(...first.ms!) > ("model" in benchCase ? Number.POSITIVE_INFINITY : 2000);
    peers.push({
      peer,
      slow,
      opened,
      ms: slow ? [...first.ms!] : [],
      rss: undefined,
    });
  }
  const ours = firstLosses.get("onestep")!;
  for (const [name, losses] of firstLosses) {
    const worst = Math.max(...losses.map((loss, i) => Math.abs(loss - ours[i]!) / Math.abs(ours[i]!)));
    if (!(worst < ("model" in benchCase ? 1e-2 : 1e-4)))
      throw new Error(`${benchCase.name}: ${name}'s losses ${losses} differ from ours ${ours}`);
  }
  for (const { peer, slow } of peers)
    if (!slow && !("model" in benchCase))
      await peer.ask({ cmd: "steps", n: Math.ceil(Math.min(benchCase.steps, 50) / (isTfjs(peer) ? 10 : 1)) });
  for (let round = 0; round < rounds; round++) {
    for (const entry of peers) {
      if (entry.slow) continue;
      const n = isTfjs(entry.peer) ? Math.ceil(benchCase.steps / 20) : benchCase.steps;
      const { ms, rss } = await entry.peer.ask({ cmd: "steps", n });
      entry.ms.push(...ms!);
      entry.rss = rss;
    }
  }
  const base = median(peers[0]!.ms);
  const results = peers.map(({ peer, opened, ms, rss }) => ({
    case: benchCase.name,
    peer: peer.name,
    version: String(opened.version ?? opened.torch),
    steps: ms.length,
    medianMs: median(ms),
    minMs: Math.min(...ms),
    spreadMs: spread(ms),
    ratioToOnestep: median(ms) / base,
    rssMb: rss === undefined ? undefined : Math.round(rss / 2 ** 20),
    openMs: opened.openMs,
    flop: opened.flop,
  }));
  for (const { peer } of peers) peer.close();
  return results;
}

if (options.profile) {
  for (const benchCase of chosen) {
    const model = await modelOf(benchCase);
    const kinds = await profile(model, threads);
    const total = kinds.reduce((sum, { ms }) => sum + ms, 0);
    console.log(`\n${benchCase.title}: ${total.toFixed(2)} ms in kernels`);
    for (const { op, ms, calls, largest } of kinds)
      console.log(`${op.padEnd(20)} ${ms.toFixed(2).padStart(7)} ms ${String(calls).padStart(4)} calls  ${largest}`);
  }
  process.exit(0);
}

/** The ONNX model of a case's job, as ONESTEP_DEBUG=3 writes it. */
async function modelOf(benchCase: Case | ModelCase): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "onestep-bench-"));
  const peer = new Peer("onestep", contestants.onestep!.command, {
    cwd: folder,
    stderr: "ignore",
    env: { ...contestants.onestep!.env, ONESTEP_DEBUG: "3" },
  });
  await peer.ask({ cmd: "open", case: benchCase, threads });
  await peer.ask({ cmd: "steps", n: 1 });
  peer.close();
  const [file] = readdirSync(join(folder, "onestep-debug"));
  const bytes = readFileSync(join(folder, "onestep-debug", file!));
  rmSync(folder, { recursive: true });
  return bytes;
}

const gauge = new Peer("onestep", contestants.onestep!.command, { env: contestants.onestep!.env! });
const { peak } = await gauge.ask({ cmd: "peak", threads });
gauge.close();

const lines = [
  `# Benchmark ${new Date().toISOString().slice(0, 10)}`,
  "",
  `${cpus()[0]!.model.trim()}, ${platform()} ${arch()}, Node ${process.version}, ${threads} threads; measured GEMM peak ${peak!.toFixed(0)} GFLOP/s (float32, 1024³).`,
  `${rounds} interleaved rounds; the losses of the first 2 steps agree within 1e-4. Ratio: the peer's median over onestep's; above 1 onestep is faster.`,
];
const all: Result[] = [];
for (const benchCase of chosen) {
  const results = await measure(benchCase);
  all.push(...results);
  const flop = "layers" in benchCase ? flopsOf(benchCase) : results[0]!.flop!;
  lines.push(
    "",
    `## ${benchCase.title}`,
    "",
    `${(flop / 1e6).toFixed(3)} MFLOP a step: floor ${(flop / peak! / 1e6).toFixed(4)} ms.`,
    "",
  );
  if ("model" in benchCase)
    for (const { peer, openMs, rssMb } of results)
      lines.push(`${peer}: ready for the first step after ${(openMs! / 1000).toFixed(1)} s, ${rssMb} MB resident.`, "");
  if (options.tfjs && "withoutTfjs" in benchCase)
    lines.push(`Without tfjs wasm and cpu: ${benchCase.withoutTfjs}.`, "");
  lines.push(
    "| peer | version | steps | median ms | min ms | p10-p90 ms | steps/s | ratio |",
    "|---|---|---|---|---|---|---|---|",
  );
  for (const r of results)
    lines.push(
      `| ${r.peer} | ${r.version} | ${r.steps} | ${r.medianMs.toFixed(3)} | ${r.minMs.toFixed(3)} | ${r.spreadMs} | ${Math.round(1000 / r.medianMs).toLocaleString("en-US")} | ${r.ratioToOnestep.toFixed(2)} |`,
    );
}
mkdirSync(options.out, { recursive: true });
writeFileSync(join(options.out, "bench.md"), `${lines.join("\n")}\n`);
writeFileSync(
  join(options.out, "bench.json"),
  `${JSON.stringify({ date: new Date().toISOString(), cpu: cpus()[0]!.model, node: process.version, threads, peakGflops: peak, results: all }, null, 2)}\n`,
);
console.log(lines.join("\n"));
