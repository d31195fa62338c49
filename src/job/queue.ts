import { FlowError } from "../core/errors.js";

export interface QueueOptions {
  /** Takes a task out of the queue while it waits; one that runs is finished. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs tasks one at a time, in the order they were pushed. The event loop turns between them when it has not for 4 ms: a
 * loop of awaited calls that never wait would starve timers, sockets and signals, since promises run before them.
 */
export class Queue {
  /** How many tasks may wait; more are refused with E_BUSY. */
  limit = Infinity;
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  /** Tasks that have not ended. */
  #unfinished = 0;
  #turned = 0;

  /** Tasks that have not begun. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Whether a task that takes no time worth waiting for may run at once: nothing is before it, and the event loop has turned lately. */
  get free(): boolean {
    return this.#unfinished === 0 && !this.#overdue;
  }

  push<T>(what: string, task: () => Promise<T>, { signal }: QueueOptions = {}): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#waiting >= this.limit)
      return Promise.reject(
        new FlowError(
          "E_BUSY",
          `${what}: ${this.#waiting} calls are waiting, the most that flow.config.maxQueuedCalls allows; await calls before you make more (none begins before your code awaits), or raise it`,
        ),
      );
    this.#waiting++;
    this.#unfinished++;
    return new Promise<T>((resolve, reject) => {
      let waits: (() => Promise<T>) | undefined = task;
      const leave = (): void => {
        // The task goes at once, and with it what it holds; its empty place is passed over later.
        waits = undefined;
        this.#waiting--;
        this.#unfinished--;
        reject(signal!.reason);
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#tail = this.#tail.then(async () => {
        if (waits === undefined) return;
        await this.#breathe();
        const run = waits as (() => Promise<T>) | undefined;
        if (run === undefined) return;
        signal?.removeEventListener("abort", leave);
        waits = undefined;
        this.#waiting--;
        // The next task runs whether or not this one failed; the caller of this one gets its error.
        try {
          const result = await run();
          this.#unfinished--;
          resolve(result);
        } catch (error) {
          this.#unfinished--;
          reject(error);
        }
      });
    });
  }

  /** Resolves when everything pushed so far has ended. */
  async idle(): Promise<void> {
    await this.#tail;
  }

  get #overdue(): boolean {
    return performance.now() - this.#turned >= 4;
  }

  async #breathe(): Promise<void> {
    if (!this.#overdue) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#turned = performance.now();
  }
}
