import { constants } from "node:os";
import { FlowError, textOfValue } from "../core/errors.js";
import { defaultSession } from "./session.js";

/** Takes a handler away: call it, or declare it with `using`. */
export type Removable = (() => void) & Disposable;

const signals = ["SIGINT", "SIGTERM"] as const;
type Signal = (typeof signals)[number];

// A terminal and a wrapper (npm, tsx) often deliver one Ctrl-C twice.
const SAME_PRESS_MS = 250;
// How long to wait for a loop that has a batch to ask for the next one.
const BOUNDARY_MS = 10_000;

const callbacks = new Set<() => unknown>();
let caught: { readonly signal: Signal; readonly at: number } | undefined;

/**
 * Runs `callback` when SIGTERM or Ctrl-C (SIGINT) asks the process to end, then exits with 143 or 130 (1 where it fails). It runs
 * between steps: where a data source is looped over, when its next batch is asked for, so that a save within it resumes to the
 * same bits. A second signal exits at once. Keeps no idle process alive; several callbacks run in turn. Returns what removes it.
 */
export function onInterrupt(callback: () => unknown): Removable {
  if (typeof callback !== "function")
    throw new FlowError(
      "E_ARGUMENT",
      `train.onInterrupt: got ${textOfValue(callback)}, expected a function such as () => checkPoint.save(path)`,
    );
  // A function passed twice is two registrations.
  const entry = (): unknown => callback();
  if (callbacks.size === 0) for (const signal of signals) process.on(signal, receive);
  callbacks.add(entry);
  const remove = (): void => {
    if (callbacks.delete(entry) && callbacks.size === 0) for (const signal of signals) process.off(signal, receive);
  };
  return Object.assign(remove, { [Symbol.dispose]: remove });
}

function receive(signal: Signal): void {
  const code = 128 + constants.signals[signal];
  const now = performance.now();
  if (caught !== undefined) {
    if (caught.signal === signal && now - caught.at < SAME_PRESS_MS) return;
    process.stderr.write(`\n${signal} again: exiting at once, without what was not finished\n`);
    process.exit(code);
  }
  caught = { signal, at: now };
  process.stderr.write(`\n${signal}: finishing the step; once more to exit at once\n`);
  // Where the program ends by itself meanwhile.
  process.exitCode = code;
  let begun = false;
  const run = async (): Promise<void> => {
    if (begun) return;
    begun = true;
    clearTimeout(patience);
    process.exit(await finish(code));
  };
  const patience = setTimeout(() => void run(), BOUNDARY_MS);
  defaultSession().stateful.atBoundary(run);
}

async function finish(code: number): Promise<number> {
  try {
    // Both, so that a callback that removes itself or its neighbours does not skip one.
    for (const callback of [...callbacks]) await callback();
    return code;
  } catch (error) {
    process.stderr.write(`onInterrupt: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 1;
  }
}
