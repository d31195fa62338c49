import { createInterface } from "node:readline";
import type { Case, ModelCase } from "../cases.js";

/** What inference returns in place of a loss. */
export const sumOfSquares = (logits: ArrayLike<number>): number =>
  Array.from(logits).reduce((sum, value) => sum + value * value, 0);

/** What a peer can do: one training step, which returns the mean loss before the update, or one inference. */
export interface Peer {
  readonly version: string;
  open(benchCase: Case, threads: number): Promise<() => Promise<number>>;
  /** As `open`, for a full-size model; only the onestep peer has them. `flop` is of a step. */
  openModel?(benchCase: ModelCase, threads: number): Promise<{ step(): Promise<number>; readonly flop: number }>;
  /** Billions of operations a second of a large matrix product; only the onestep peer measures it. */
  peak?(threads: number): Promise<number>;
}

/** Answers the benchmark's JSON lines on stdin: open, steps, peak, close. */
export async function serve(peer: Peer): Promise<void> {
  const answer = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
  let step: (() => Promise<number>) | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    const {
      cmd,
      case: benchCase,
      threads,
      n,
    } = JSON.parse(line) as { cmd: string; case: Case | ModelCase; threads: number; n: number };
    if (cmd === "close") process.exit(0);
    try {
      if (cmd === "open") {
        const started = performance.now();
        let flop: number | undefined;
        if ("layers" in benchCase) step = await peer.open(benchCase, threads);
        else {
          if (peer.openModel === undefined) throw new Error("this peer has no full-size models");
          ({ step, flop } = await peer.openModel(benchCase, threads));
        }
        answer({ ok: true, version: peer.version, openMs: performance.now() - started, flop });
      } else if (cmd === "peak") answer({ peak: await peer.peak?.(threads) });
      else if (cmd === "steps") {
        const ms: number[] = [];
        const losses: number[] = [];
        for (let i = 0; i < n; i++) {
          const started = performance.now();
          losses.push(await step!());
          ms.push(performance.now() - started);
        }
        answer({ ms, losses, rss: process.memoryUsage.rss() });
      }
    } catch (error) {
      answer({ error: String((error as Error).message ?? error) });
    }
  }
}
