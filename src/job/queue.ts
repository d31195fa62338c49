/** Runs tasks one at a time, in the order they were pushed. */
export class Queue {
  #tail: Promise<unknown> = Promise.resolve();

  push<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task);
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
}
