// Loaded into the server's process before examples/serve.ts: answers what the tests ask about it over the IPC channel.
import { readFileSync } from "node:fs";
import { createHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { defaultSession } from "#src/job/session.js";

export type Question = "probe" | "reset" | "block" | "release";

/** Milliseconds. */
interface Delay {
  readonly p99: number;
  readonly max: number;
}

export interface Probe {
  /** Calls that wait for their turn. */
  readonly waiting: number;
  /** Bytes, after garbage was collected. */
  readonly rss: number;
  /** Delay of the event loop since the last "reset". */
  readonly delay: Delay;
  /** The same without the time in which this thread was ready and other processes had its core (where the system tells). */
  readonly own: Delay;
}

const everything = monitorEventLoopDelay({ resolution: 1 });
everything.enable();

// Nanoseconds this thread has waited for a core.
const waitedForCore = (): number => {
  try {
    return Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[1]);
  } catch {
    return 0;
  }
};
const own = createHistogram();
const interval = 2;
let last = performance.now();
let waited = waitedForCore();
setInterval(() => tick(true), interval).unref();

function tick(counts: boolean): void {
  const [now, wait] = [performance.now(), waitedForCore()];
  const delay = (now - last - interval) * 1e6 - (wait - waited);
  if (counts) own.record(Math.max(1, Math.round(delay)));
  [last, waited] = [now, wait];
}

let release = (): void => undefined;

process.on("message", (question: Question) => {
  void answer(question).then((reply) => process.send!(reply));
});
process.channel!.unref();

async function answer(question: Question): Promise<Probe> {
  if (question === "release") release();
  if (question === "block")
    await new Promise<void>((begun) => {
      const task = (): Promise<void> => {
        begun();
        return new Promise((resolve) => (release = resolve));
      };
      void defaultSession().enqueue("the test", task);
    });
  // What the test itself makes the loop wait for does not count.
  everything.disable();
  globalThis.gc?.();
  everything.enable();
  tick(false);
  if (question === "reset") {
    everything.reset();
    own.reset();
  }
  const delayOf = ({ max, percentile }: { max: number; percentile: (p: number) => number }): Delay => ({
    p99: percentile(99) / 1e6,
    max: max / 1e6,
  });
  return {
    waiting: defaultSession().waiting,
    rss: process.memoryUsage.rss(),
    delay: delayOf({ max: everything.max, percentile: (p) => everything.percentile(p) }),
    own: delayOf({ max: own.max, percentile: (p) => own.percentile(p) }),
  };
}
