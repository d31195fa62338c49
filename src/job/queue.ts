/**
 * Runs tasks one at a time, in the order they were pushed. The event loop turns between them when it has not for 4 ms: a
 * loop of awaited calls that never wait would starve timers, sockets and signals, since promises run before them.
 */
export class Queue {
  #tail: Promise<unknown> = Promise.resolve();
  #turned = 0;

  push<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(async () => {
      await this.#breathe();
      return await task();
    });
    // The next task runs whether or not this one failed; the caller of this one gets its error.
    this.#tail = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  /** Resolves when everything pushed so far has ended. */
  async idle(): Promise<void> {
    await this.#tail;
  }

  async #breathe(): Promise<void> {
    if (performance.now() - this.#turned < 4) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#turned = performance.now();
  }
}
