import { cpus } from "node:os";
import { FlowError } from "../core/errors.js";
import type { Engine, EngineOptions } from "../engines/engine.js";
import { blockSizes } from "../engines/onnx/block-size.js";
import { clearTuning, describeTuning, type Tuning, tuningFile, writeTuning } from "../engines/onnx/tuning.js";
import { usableCores } from "../engines/usable-cores.js";
import { engineFor } from "../job/config.js";
import { table } from "./layout.js";
import {
  difference,
  lenetOf,
  mlp,
  openCase,
  type Proof,
  type Run,
  type TuneCase,
  transformerBlock,
} from "./tune-cases.js";

export interface TuneOptions {
  /** Engines that compute the cases, `onnx` among them, whose switches are tuned. */
  readonly engines: readonly Engine[];
  /** What results are checked against. */
  readonly reference: Engine;
  /** Cases small enough for the reference engine. */
  readonly cases: readonly TuneCase[];
  /** The case with convolutions, and how it is checked: the same with a batch for the reference engine. */
  readonly images: { readonly large: TuneCase; readonly small: TuneCase };
  readonly cores: number;
  /** Median milliseconds of a step of a variant. */
  readonly measure: (step: () => Promise<void>, variant: string) => Promise<number>;
  readonly say: (line: string) => void;
}

/** A gain below this share is noise: the engine's own choice stays. */
const worthIt = 0.03;

/** Measures engines and the onnx engine's switches on this machine; wrong results are refused, the fastest of the rest is the choice. */
export async function tune({ engines, reference, cases, images, cores, measure, say }: TuneOptions): Promise<Tuning> {
  const onnx = engines.find(({ name }) => name === "onnx")!;
  const trusted = new Map<TuneCase, Proof>();
  for (const one of cases) trusted.set(one, await proofOf(one, reference, {}));
  const plain = { blockSize: 0, threads: 1 };
  const small = difference(await proofOf(images.small, onnx, plain), await proofOf(images.small, reference, {}));
  if (small !== undefined)
    throw new FlowError(
      "E_ENGINE",
      `tune: ${images.small.name}: the onnx engine's plain convolutions do not give the reference engine's results: ${small}; report it with the output of 'onestep doctor'`,
    );
  trusted.set(images.large, await proofOf(images.large, onnx, plain));

  const rows: string[][] = [["step", "variant", "ms", "ratio"]];
  /** Milliseconds of a step of each variant, ratios to the first; undefined where one does not run or is wrong. */
  const compare = async (one: TuneCase, variants: readonly Variant[]): Promise<readonly (number | undefined)[]> => {
    const runs: (Run | undefined)[] = [];
    for (const { label, engine, options } of variants) runs.push(await opened(one, engine, options, label));
    const best = runs.map(() => Infinity);
    // In rounds, so that what else the machine does meets all alike.
    for (let round = 0; round < rounds; round++)
      for (const [i, run] of runs.entries())
        if (run !== undefined) best[i] = Math.min(best[i]!, await measure(() => run.step(), variants[i]!.label));
    for (const run of runs) await run?.close();
    for (const [i, { label }] of variants.entries()) {
      const ms = runs[i] === undefined ? "refused" : best[i]!.toFixed(3);
      rows.push([one.name, label, ms, runs[i] && runs[0] ? (best[i]! / best[0]!).toFixed(2) : "-"]);
    }
    return runs.map((run, i) => (run === undefined ? undefined : best[i]));
  };
  /** A case that has made its first step right; undefined, with a line that says why, where it has not. */
  const opened = async (
    one: TuneCase,
    engine: Engine,
    options: EngineOptions,
    label: string,
  ): Promise<Run | undefined> => {
    try {
      const run = await openCase(one, engine, options);
      const wrong = difference(run.proof, trusted.get(one)!);
      if (wrong === undefined) return run;
      await run.close();
      say(`${one.name}, ${label}: refused, ${wrong}`);
    } catch (error) {
      say(`${one.name}, ${label}: does not run: ${(error as Error).message}`);
    }
    return undefined;
  };

  const sizes = [0, ...blockSizes];
  const bySize = await compare(
    images.large,
    sizes.map((blockSize) => ({
      label: blockSize === 0 ? "onnx, plain convolutions" : `onnx, blocks of ${blockSize}`,
      engine: onnx,
      options: { blockSize, threads: cores },
    })),
  );
  const blocks = new Map(sizes.map((size, i) => [size, bySize[i]]));
  // What the engine finds by itself: the largest size that works.
  const own = blockSizes.find((size) => blocks.get(size) !== undefined) ?? 0;
  const blockSize = fastest(blocks, own);

  const counts = threadCounts(cores);
  const logs = counts.map(() => 0);
  const best: string[] = [];
  const all = [...cases, images.large];
  for (const one of all) {
    const variants: Variant[] = counts.map((threads) => ({
      label: `onnx, ${threads} thread${threads === 1 ? "" : "s"}`,
      engine: onnx,
      options: { blockSize, threads },
    }));
    for (const engine of engines) if (engine !== onnx) variants.push({ label: engine.name, engine, options: {} });
    const found = await compare(one, variants);
    if (found[0] === undefined)
      throw new FlowError(
        "E_ENGINE",
        `tune: ${one.name}: the onnx engine on all cores does not give the trusted results; report it with the output of 'onestep doctor'`,
      );
    // A variant that is wrong in one case is wrong.
    for (const [i] of counts.entries()) logs[i]! += Math.log((found[i] ?? Infinity) / found[0]);
    const least = found.indexOf(Math.min(...found.map((ms) => ms ?? Infinity)));
    best.push(`fastest for ${one.name}: ${variants[least]!.engine.name}`);
  }
  // Geometric mean over the cases.
  const threads = fastest(new Map(counts.map((count, i) => [count, Math.exp(logs[i]! / all.length)])), cores);

  for (const line of table(rows, 2)) say(line);
  say(`onnx: ${describeTuning({ threads, blockSize })}`);
  for (const line of best) say(line);
  say(
    'the engine is not switched: flow.config.engine("tensorflow") or ONESTEP_ENGINE=tensorflow chooses another than onnx',
  );
  return { threads, blockSize };
}

interface Variant {
  readonly label: string;
  readonly engine: Engine;
  readonly options: EngineOptions;
}

const rounds = 3;

/** The key of the least figure; `own` unless another is clearly less. */
function fastest(figures: ReadonlyMap<number, number | undefined>, own: number): number {
  let choice = own;
  for (const [key, figure] of figures)
    if (figure !== undefined && figure < (figures.get(choice) ?? Infinity) * (choice === own ? 1 - worthIt : 1))
      choice = key;
  return choice;
}

/** All cores, then fewer: each number up to 8, above that powers of two. */
function threadCounts(cores: number): readonly number[] {
  const counts = Array.from({ length: cores }, (_, i) => cores - i);
  return counts.filter((count) => count === cores || cores <= 8 || Number.isInteger(Math.log2(count)));
}

async function proofOf(one: TuneCase, engine: Engine, options: EngineOptions): Promise<Proof> {
  const run = await openCase(one, engine, options);
  await run.close();
  return run.proof;
}

const budgetMs = 400;

/** Median of the steps that fit a budget, at least 5, after 2 that warm up. */
export async function medianOf(step: () => Promise<void>, now = () => performance.now()): Promise<number> {
  for (let i = 0; i < 2; i++) await step();
  const times: number[] = [];
  const end = now() + budgetMs;
  while (times.length < 5 || (now() < end && times.length < 200)) {
    const started = now();
    await step();
    times.push(now() - started);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

/** Processor time used since the machine's and the process's start, and the clock; all in ms. */
export interface Usage {
  readonly machine: number;
  readonly own: number;
  readonly at: number;
}

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  const times = cpus().map(({ times: { user, nice, sys, irq } }) => user + nice + sys + irq);
  return { machine: times.reduce((sum, x) => sum + x, 0), own: (user + system) / 1000, at: performance.now() };
}

/** How much of one core other programs took between two looks. */
export const takenByOthers = (from: Usage, to: Usage): number =>
  Math.max(0, to.machine - from.machine - (to.own - from.own)) / (to.at - from.at);

/** More of a core than this, and figures tell of what else ran. */
const tolerated = 0.2;

/** `onestep tune`. */
export async function tuneCommand({
  dryRun = false,
  clear = false,
}: {
  readonly dryRun?: boolean;
  readonly clear?: boolean;
}): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  if (clear) {
    clearTuning();
    say(`nothing is tuned: ${tuningFile()} is gone`);
    return;
  }
  const engines = [await engineFor({ engine: "onnx" })];
  const tensorflow = await engineFor({ engine: "tensorflow" });
  try {
    await tensorflow.report();
    engines.push(tensorflow);
  } catch (error) {
    say(`without tensorflow: ${(error as Error).message}`);
  }
  const before = usage();
  const choice = await tune({
    engines,
    reference: await engineFor({ engine: "reference" }),
    cases: [mlp, transformerBlock],
    images: { large: lenetOf(100), small: lenetOf(2) },
    cores: usableCores(),
    measure: (step) => medianOf(step),
    say,
  });
  const taken = takenByOthers(before, usage());
  if (taken > tolerated)
    throw new FlowError(
      "E_ENGINE",
      `tune: other programs took ${Math.round(100 * taken)} % of a core meanwhile, so that the figures mislead; nothing was written; run it again when nothing else runs`,
    );
  if (dryRun) {
    say("nothing was written");
    return;
  }
  writeTuning(choice);
  say(`kept in ${tuningFile()}; --clear removes it`);
}
