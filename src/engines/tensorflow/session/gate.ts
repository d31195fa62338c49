const [free, held, closed] = [0, 1, 2];

/**
 * What native calls go through, one at a time, until it is closed. A process that exits ends its threads wherever they are, and
 * an addon whose call to JavaScript fails at that moment may take the process down; so it waits for the call under way and lets
 * no other begin.
 */
export class Gate {
  readonly #state: Int32Array;

  /** @param memory that of the gate on the other thread; a new gate's if left out. */
  constructor(readonly memory: SharedArrayBuffer = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.#state = new Int32Array(memory);
  }

  /** What a native call returns; an error where the gate is closed. */
  pass<T>(call: () => T): T {
    if (Atomics.compareExchange(this.#state, 0, free, held) !== free) throw new Error("the process is ending");
    try {
      return call();
    } finally {
      Atomics.store(this.#state, 0, free);
      Atomics.notify(this.#state, 0);
    }
  }

  /** Returns when no call is under way, after which none begins. */
  close(): void {
    while (Atomics.compareExchange(this.#state, 0, free, closed) === held) Atomics.wait(this.#state, 0, held);
  }
}
