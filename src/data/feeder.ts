/** A batch, and how many of its rows are elements rather than padding. */
export interface Made {
  readonly batch: unknown;
  readonly valid: number;
}

/** Batches in order from where it was opened; undefined at the end of the epoch. Calls may overlap. */
export interface Pipeline {
  next(): Promise<Made | undefined>;
  close(): Promise<void>;
}

/** What a kind of source knows: its size and how to make the batches of an epoch. */
export interface Feeder {
  readonly kind: "arrays" | "indexed" | "stream";
  /** Elements of all shards together; null where only reading tells. */
  readonly length: number | null;
  /** Batches of an epoch; null where only reading tells. */
  readonly perEpoch: number | null;
  /** Batches of an epoch from number `offset`. */
  open(epoch: number, offset: number, seed: number): Pipeline;
}

/** A feeder whose batches are made at once. */
export interface SyncFeeder extends Feeder {
  make(epoch: number, offset: number, seed: number): Made | undefined;
}

/** Keeps `depth` batches of a pipeline under way beside the one asked for. */
export class Ahead {
  readonly #waiting: Promise<Made | undefined>[] = [];
  constructor(
    readonly pipeline: Pipeline,
    readonly depth: number,
  ) {}

  take(): Promise<Made | undefined> {
    const first = this.#waiting.shift() ?? this.#start();
    while (this.#waiting.length < this.depth) this.#waiting.push(this.#start());
    return first;
  }

  #start(): Promise<Made | undefined> {
    const made = this.pipeline.next();
    // It may fail before anyone asks for it; who asks gets the error.
    made.catch(() => undefined);
    return made;
  }
}
