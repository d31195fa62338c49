import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pinned, threadSettings } from "./peer-process.js";
import type { ProgramReport } from "./report.js";
import { median } from "./statistics.js";

export interface ProgramOptions {
  readonly threads: number;
  readonly python: string | undefined;
  readonly rounds: number;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const tsx = [process.execPath, "--import", import.meta.resolve("tsx")];

/** Runs a program on the pinned processors: what it prints, and the seconds from its start to its end. */
function run(
  command: readonly string[],
  threads: number,
  { cwd = root, env = {} }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): { readonly stdout: string; readonly stderr: string; readonly seconds: number } {
  const [file, ...args] = pinned(command, threads);
  const started = performance.now();
  const { status, stdout, stderr, error } = spawnSync(file!, args, {
    cwd,
    env: { ...process.env, ...threadSettings(threads), ...env },
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const seconds = (performance.now() - started) / 1000;
  if (status !== 0) throw new Error(`${command.join(" ")}: ${error?.message ?? `exit code ${status}\n${stderr}`}`);
  return { stdout, stderr, seconds };
}

const spread = (values: readonly number[], digits: number): readonly string[] => [
  median(values).toFixed(digits),
  Math.min(...values).toFixed(digits),
];

/** Importing the package in a fresh process. */
async function importing({ threads }: ProgramOptions): Promise<ProgramReport> {
  const program = `const started = performance.now();
await import("onestep");
const ms = performance.now() - started;
const engines = /onnxruntime|tensorflow|koffi/.test((await import("node:fs")).readFileSync("/proc/self/maps", "utf8"));
console.log(JSON.stringify({ ms, engines }));`;
  const runs = Array.from({ length: 11 }, () => {
    const { stdout } = run([process.execPath, "--input-type=module", "-e", program], threads);
    return JSON.parse(stdout) as { ms: number; engines: boolean };
  });
  const loaded = runs.some(({ engines }) => engines);
  return {
    title: "Importing the package",
    notes: [
      `\`await import("onestep")\` in 11 fresh processes; ${loaded ? "a native library of an engine is loaded" : "no native library of an engine is mapped after it"}.`,
    ],
    columns: ["", "median ms", "min ms"],
    rows: [
      [
        "import",
        ...spread(
          runs.map(({ ms }) => ms),
          1,
        ),
      ],
    ],
  };
}

/** The MLP's epoch in `npm start`. */
async function story({ threads }: ProgramOptions): Promise<ProgramReport> {
  const cwd = mkdtempSync(join(tmpdir(), "onestep-bench-"));
  try {
    const { stderr, seconds } = run([...tsx, join(root, "examples", "story.ts"), "--quick"], threads, { cwd });
    const rates = [...stderr.matchAll(/^(\S+) +step +600\/600 .* ([\d,]+) images\/s/gm)];
    if (rates.length !== 2) throw new Error(`story: expected the lines of two epochs, got\n${stderr}`);
    return {
      title: "`npm start`",
      notes: [
        `\`examples/story.ts --quick\`: two MLPs, one epoch each of 600 steps of 100 images, from the first step to the last by its own lines; the whole program with checkpoints and evaluation took ${seconds.toFixed(1)} s.`,
      ],
      columns: ["epoch", "s"],
      rows: rates.map(([, name, rate]) => [name!, (60_000 / Number(rate!.replaceAll(",", ""))).toFixed(2)]),
    };
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

/** An epoch of the documented MLP on MNIST, from the start of the program to its end. */
async function epoch({ threads, python, rounds }: ProgramOptions): Promise<ProgramReport> {
  const folder = mkdtempSync(join(tmpdir(), "onestep-bench-"));
  try {
    const model = join(folder, "model");
    const ours = [process.execPath, here("programs/epoch.mjs")];
    run([...ours, "prepare", model], threads);
    const programs: Readonly<Record<string, readonly string[]>> = {
      onestep: [...ours, "train", model],
      ...(python === undefined ? {} : { "PyTorch eager": [python, here("programs/epoch.py"), model] }),
    };
    const seconds: Record<string, number[]> = {};
    const losses: Record<string, readonly [first: number, last: number]> = {};
    for (let round = 0; round < rounds; round++)
      for (const [name, command] of Object.entries(programs)) {
        const done = run(command, threads);
        (seconds[name] ??= []).push(done.seconds);
        losses[name] = JSON.parse(done.stdout) as [number, number];
      }
    const [first, second] = Object.values(losses);
    if (second !== undefined && Math.abs(first![0] - second[0]) > 1e-4 * first![0])
      throw new Error(`epoch: the first losses differ: ${JSON.stringify(losses)}`);
    const base = median(seconds.onestep!);
    return {
      title: "An epoch of MNIST, end to end",
      notes: [
        `MLP 784-512-10, SGD 0.1, 600 steps of 100 images in the files' order, from the same first values and idx files; from the start of the process to its end, with interpreter, imports and reading. ${rounds} interleaved rounds; the losses of the first step agree within 1e-4.`,
      ],
      columns: ["program", "median s", "min s", "onestep / it", "first loss", "mean of the last 20"],
      rows: Object.entries(seconds).map(([name, list]) => [
        name,
        ...spread(list, 2),
        (base / median(list)).toFixed(2),
        ...losses[name]!.map((loss) => loss.toFixed(4)),
      ]),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Saving and loading BERT-base with Adam's slots, by `bench/checkpoint.ts`. */
async function checkpoint({ threads, python, rounds }: ProgramOptions): Promise<ProgramReport> {
  const folder = mkdtempSync(join(tmpdir(), "onestep-bench-"));
  try {
    const json = join(folder, "checkpoint.json");
    const args = ["--models", "bert", "--rounds", String(rounds), "--json", json];
    run(
      [
        ...tsx.slice(0, 1),
        "--expose-gc",
        ...tsx.slice(1),
        here("checkpoint.ts"),
        ...args,
        ...(python === undefined ? [] : ["--python", python]),
      ],
      threads,
    );
    const [{ title, rows }] = JSON.parse(readFileSync(json, "utf8")) as [{ title: string; rows: string[][] }];
    return {
      title: "Saving and loading a checkpoint",
      notes: [`${title}; medians of ${rounds} interleaved rounds. Memory: how far the process rises meanwhile.`],
      columns: ["", "median s", "min s", "against", "times its time", "memory MB"],
      rows,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Whole programs, by the name that `--cases` takes. */
export const programs: Readonly<Record<string, (options: ProgramOptions) => Promise<ProgramReport>>> = {
  import: importing,
  story,
  epoch,
  checkpoint,
};
