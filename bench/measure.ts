import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Case, flopsOf, type ModelCase } from "./cases.js";
import type { Contestant } from "./contestants.js";
import { type Answer, PeerProcess } from "./peer-process.js";
import type { CaseReport } from "./report.js";
import { disagreement, median, quantile } from "./statistics.js";

export interface MeasureOptions {
  readonly rounds: number;
  readonly threads: number;
  /** A case's rounds end early after so long, but not before the third. */
  readonly caseSeconds: number;
  /** A peer that has not done its first steps by then is left out. */
  readonly patience: number;
  readonly verbose: boolean;
}

/** Milliseconds of steps that a peer is asked for in a round; most steps of a round. */
const [ROUND_MS, ROUND_STEPS] = [300, 500];
/** A peer that takes longer a step is not asked again: its first steps stand for it. */
const SLOW_MS = 5000;
/** Before a turn. Its first step is not counted. */
const SETTLE_MS = 300;

/** Bytes of memory that programs can still take; Infinity where the system does not say. */
function availableMemory(): number {
  try {
    return Number(/MemAvailable:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))![1]) * 1024;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Times one case with every peer: results are checked equal first, then rounds are interleaved. */
export async function measure(
  benchCase: Case | ModelCase,
  peers: Readonly<Record<string, Contestant>>,
  { rounds, threads, caseSeconds, patience, verbose }: MeasureOptions,
): Promise<CaseReport> {
  const full = "model" in benchCase;
  const tolerance = full ? 1e-3 : 1e-4;
  const folder = mkdtempSync(join(tmpdir(), "onestep-bench-"));
  const files = { weights: join(folder, "weights"), feeds: join(folder, "feeds") };
  const open: { peer: PeerProcess; opened: Answer; first: Answer; ms: number[]; rss: number }[] = [];
  const leftOut: { peer: string; reason: string }[] = [];
  try {
    let flop = full ? 0 : flopsOf(benchCase);
    if (full) {
      const { command, env = {} } = peers.onestep as Extract<Contestant, { command: unknown }>;
      const writer = new PeerProcess("onestep", command, { threads, env, verbose });
      const written = await writer.ask({ cmd: "export", case: benchCase, threads, ...files });
      await writer.close();
      if (written.error !== undefined) throw new Error(`${benchCase.name}: ${written.error}`);
      flop = written.flop!;
    }
    for (const [name, contestant] of Object.entries(peers)) {
      const leave = (reason: string): void => void leftOut.push({ peer: name, reason });
      // What no peer of a kind can do is said once, at the head of the report.
      if ("missing" in contestant) continue;
      if (full && !contestant.models) {
        leave("it has no version of the full-size models");
        continue;
      }
      const known = "leftOut" in benchCase ? benchCase.leftOut?.[name] : undefined;
      if (known !== undefined) {
        leave(known);
        continue;
      }
      const need = 1.3 * Math.max(0, ...open.map(({ rss }) => rss));
      if (availableMemory() < need) {
        leave(
          `the memory that is left, ${(availableMemory() / 2 ** 30).toFixed(1)} GB, may be too little beside the others`,
        );
        continue;
      }
      const { command, env = {} } = contestant;
      const peer = new PeerProcess(name, command, { threads, env, verbose });
      const started = performance.now();
      const opened = await peer.ask({ cmd: "open", case: benchCase, threads, ...(full ? files : {}) }, patience);
      const left = patience - (performance.now() - started) / 1000;
      const first = opened.error === undefined ? await peer.ask({ cmd: "steps", n: 2 }, left) : opened;
      const ours = open[0]?.first.losses;
      const error = first.error ?? (ours === undefined ? undefined : disagreement(first.losses!, ours, tolerance));
      if (error !== undefined) {
        await peer.close();
        if (name === "onestep") throw new Error(`${benchCase.name}: ${error}`);
        leave(error);
      } else open.push({ peer, opened, first, ms: [], rss: first.rss! });
    }
    const stepsOf = (list: readonly number[]): number =>
      Math.max(1, Math.min(ROUND_STEPS, Math.floor(ROUND_MS / Math.min(...list))));
    const timed = open.filter(({ first }) => Math.min(...first.ms!) < SLOW_MS);
    const started = performance.now();
    let round = 0;
    for (; round < rounds; round++) {
      if (round >= 3 && performance.now() - started > caseSeconds * 1000) break;
      for (const entry of timed) {
        // The first steps are slow; a warm-up before the first round finds how many fit in one. Steps near a second need none.
        if (round === 0 && Math.min(...entry.first.ms!) < ROUND_MS) {
          const { ms, error } = await entry.peer.ask({ cmd: "steps", n: stepsOf(entry.first.ms!) });
          if (error !== undefined) throw new Error(`${benchCase.name}: ${entry.peer.name}: ${error}`);
          entry.ms = [...ms!];
        }
        const n = stepsOf(entry.ms.length > 0 ? entry.ms : entry.first.ms!);
        if (round === 0) entry.ms = [];
        // The threads of the peer before may spin on for a while, and the caches are its own.
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
        const { ms, rss, error } = await entry.peer.ask({ cmd: "steps", n: n + 1 });
        if (error !== undefined) throw new Error(`${benchCase.name}: ${entry.peer.name}: ${error}`);
        entry.ms.push(...ms!.slice(1));
        entry.rss = rss!;
      }
    }
    const results = open.map(({ peer, opened, first, ms, rss }) => {
      const list = ms.length > 0 ? ms : first.ms!;
      return {
        peer: peer.name,
        version: opened.version!,
        steps: list.length,
        medianMs: median(list),
        minMs: Math.min(...list),
        p10Ms: quantile(list, 0.1),
        p90Ms: quantile(list, 0.9),
        firstStepMs: opened.openMs! + first.ms![0]!,
        importMs: opened.importMs!,
        rssMb: Math.round(rss / 2 ** 20),
      };
    });
    const { name, title, mode } = benchCase;
    return { name, title, mode, flop, tolerance, rounds: round, results, leftOut };
  } finally {
    for (const { peer } of open) await peer.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
