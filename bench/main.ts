// npm run bench -- --help. Each case in interleaved rounds against every peer that is there; what is measured and how: bench/README.md.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, cpus, platform, tmpdir } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { type Case, cases, furtherCases, type ModelCase, modelCases } from "./cases.js";
import { chart } from "./chart.js";
import { type Contestant, contestants, pythonFor } from "./contestants.js";
import { measure } from "./measure.js";
import { PeerProcess, pinned } from "./peer-process.js";
import { profile } from "./profile.js";
import { programs } from "./programs.js";
import { type CaseReport, markdown, type ProgramReport, type Report } from "./report.js";

const known = [...cases, ...modelCases].map(({ name }) => name);
const further = furtherCases.map(({ name }) => name);

/** Names from a list of known ones. */
const namesOf =
  (what: string, allowed: readonly string[]) =>
  (text: string): readonly string[] => {
    const names = text.split(",");
    const unknown = names.find((name) => !allowed.includes(name));
    if (unknown !== undefined)
      throw new InvalidArgumentError(`There is no ${what} '${unknown}'; there are ${allowed.join(", ")}.`);
    return names;
  };
const positive = (text: string): number => {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("Expected a number above 0.");
  return value;
};
const peerNames = Object.keys(contestants(undefined));

const options = new Command("bench")
  .description("Times training steps against other frameworks and writes bench.md, bench.json and bench.svg.")
  .option("--rounds <n>", "interleaved rounds of a case, where --case-seconds leaves the time", positive, 7)
  .option("--case-seconds <s>", "a case's rounds end after so long, but not before the third", positive, 25)
  .option("--patience <s>", "a peer whose first steps take longer is left out", positive, 180)
  .option("--quick", "3 rounds of the cases of layers and the small transformer, no whole programs")
  .option("--threads <n>", "threads of every peer, pinned to as many processors", positive, Math.min(2, cpus().length))
  .option("--python <path>", "a Python with PyTorch, TensorFlow and JAX in place of bench/.venv")
  .option(
    "--cases <names>",
    `comma-separated, of ${[...known, ...Object.keys(programs)].join(", ")} (the default), ${further.join(", ")}`,
    namesOf("case", [...known, ...Object.keys(programs), ...further]),
  )
  .option(
    "--peers <names>",
    `comma-separated, besides onestep, of ${peerNames.slice(1).join(", ")}`,
    namesOf("peer", peerNames),
  )
  .option("--profile", "prints where a step of each case spends its time, by kind of op, and measures nothing")
  .option("--out <folder>", "where results go", "bench/results")
  .option("--verbose", "shows what the peers print on stderr")
  .parse()
  .opts<{
    rounds: number;
    caseSeconds: number;
    patience: number;
    quick?: boolean;
    threads: number;
    python?: string;
    cases?: readonly string[];
    peers?: readonly string[];
    profile?: boolean;
    out: string;
    verbose?: boolean;
  }>();
const { threads, verbose = false, quick = false } = options;
const quickCases = [...cases.map(({ name }) => name), "transformer"];
const wanted = options.cases ?? (quick ? quickCases : [...known, ...Object.keys(programs)]);
const chosen = [...cases, ...modelCases, ...furtherCases].filter(({ name }) => wanted.includes(name));
const rounds = quick ? Math.min(3, options.rounds) : options.rounds;
const python = pythonFor(options.python);
const peers = Object.fromEntries(
  Object.entries(contestants(python)).filter(([name]) => name === "onestep" || (options.peers?.includes(name) ?? true)),
);
const onestep = peers.onestep as Extract<Contestant, { command: unknown }>;

/** The ONNX model of a case's job, as ONESTEP_DEBUG=3 writes it. */
async function modelOf(benchCase: Case | ModelCase): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "onestep-bench-"));
  const files = { weights: join(folder, "weights"), feeds: join(folder, "feeds") };
  const env = { ...onestep.env, ONESTEP_DEBUG: "3" };
  const peer = new PeerProcess("onestep", onestep.command, { threads, cwd: folder, env, verbose: false });
  try {
    const ask = async (question: object): Promise<void> => {
      const { error } = await peer.ask({ case: benchCase, threads, ...files, ...question });
      if (error !== undefined) throw new Error(`${benchCase.name}: ${error}`);
    };
    if ("model" in benchCase) await ask({ cmd: "export" });
    await ask({ cmd: "open" });
    await ask({ cmd: "steps", n: 1 });
    const [file] = readdirSync(join(folder, "onestep-debug")).filter((name) => name.endsWith(".onnx"));
    return readFileSync(join(folder, "onestep-debug", file!));
  } finally {
    await peer.close();
    rmSync(folder, { recursive: true });
  }
}

if (options.profile) {
  for (const benchCase of chosen) {
    const kinds = await profile(await modelOf(benchCase), threads);
    const total = kinds.reduce((sum, { ms }) => sum + ms, 0);
    console.log(`\n${benchCase.title}: ${total.toFixed(2)} ms in kernels`);
    for (const { op, ms, calls, largest } of kinds)
      console.log(`${op.padEnd(20)} ${ms.toFixed(2).padStart(7)} ms ${String(calls).padStart(4)} calls  ${largest}`);
  }
  process.exit(0);
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const started = performance.now();
const gauge = new PeerProcess("onestep", onestep.command, { threads, env: onestep.env!, verbose });
const { peak, error } = await gauge.ask({ cmd: "peak", threads });
await gauge.close();
if (peak === undefined) throw new Error(`no GEMM peak: ${error}`);

const caseReports: CaseReport[] = [];
const programReports: ProgramReport[] = [];
const [prefix, ...pinnedTo] = pinned([], threads);
const report = (): Report => ({
  date: new Date().toISOString(),
  cpu: cpus()[0]!.model.trim(),
  platform: `${platform()} ${arch()}`,
  node: process.version,
  threads,
  pinned:
    prefix === undefined
      ? "no program is pinned to processors"
      : `every program is pinned to processors ${pinnedTo[1]}`,
  peakGflops: peak,
  leftOut: Object.entries(peers).flatMap(([peer, one]) => ("missing" in one ? [{ peer, reason: one.missing }] : [])),
  cases: caseReports,
  programs: programReports,
});
/** After each case, so that an interrupted run leaves what it has. */
function write(): void {
  mkdirSync(options.out, { recursive: true });
  const now = report();
  writeFileSync(join(options.out, "bench.md"), markdown(now));
  writeFileSync(join(options.out, "bench.json"), `${JSON.stringify(now, null, 2)}\n`);
  const base = now.cases.some(({ results }) => results.some(({ peer }) => peer === "PyTorch eager"));
  writeFileSync(join(options.out, "bench.svg"), chart(now.cases, base ? "PyTorch eager" : "onestep"));
}

const { caseSeconds, patience } = options;
for (const benchCase of chosen) {
  const began = performance.now();
  const one = await measure(benchCase, peers, { rounds, threads, caseSeconds, patience, verbose });
  caseReports.push(one);
  // A peer that could not be compared may be wrong, or we may.
  if (one.leftOut.some(({ reason }) => reason.startsWith("its losses"))) process.exitCode = 1;
  write();
  say(`${benchCase.name}: ${((performance.now() - began) / 1000).toFixed(0)} s`);
}
for (const [name, run] of Object.entries(programs)) {
  if (!wanted.includes(name)) continue;
  const began = performance.now();
  programReports.push(await run({ threads, python, rounds: Math.min(rounds, 3) }));
  write();
  say(`${name}: ${((performance.now() - began) / 1000).toFixed(0)} s`);
}
console.log(markdown(report()));
say(`${((performance.now() - started) / 1000).toFixed(0)} s; written to ${options.out}`);
