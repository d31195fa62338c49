import { FlowError } from "../core/errors.js";
import { isRecord, type Json } from "../core/json.js";
import { Ahead, type Feeder, type Made, type Pipeline, type SyncFeeder } from "./feeder.js";
import { type BatchPlan, batchesOf } from "./plan.js";

/** Where a source stands and what its order depends on: plain JSON. */
export type BatchState = {
  readonly kind: "arrays" | "indexed" | "stream";
  /** Epochs that are finished. */
  readonly epoch: number;
  /** Batches of this epoch that were handed out; those prepared ahead do not count. */
  readonly offset: number;
  readonly seed: number;
  /** Elements of all shards together; null for a stream. */
  readonly length: number | null;
  readonly batchSize: number;
  readonly lastBatch: string;
  readonly shuffle: boolean;
  /** 0 except for shuffled streams. */
  readonly shuffleBuffer: number;
  /** Index and count. */
  readonly shard: readonly [number, number];
};

/** What a source needs to know of the session it belongs to. */
export interface SourceHooks {
  /** The seed where the user gave none. */
  readonly seed: () => number;
  /** Called when a batch is asked for, and before it is handed out: everything handed out earlier has been used. */
  readonly boundary: () => Promise<void> | undefined;
  /** Called by `close`. */
  readonly closed: () => void;
}

/** How a source reads: its feeder and the options that do not change the order. */
export interface SourceSetup {
  readonly name: string;
  readonly plan: BatchPlan;
  readonly seed: number | undefined;
  readonly epochs: number | undefined;
  readonly prefetch: number;
}

/**
 * Batches with a position that can be saved. A loop goes on where the last one stopped: to the end of the epoch, or with
 * `epochs` to the end of the last one. Breaking off and looping again goes on behind the last batch handed out.
 */
export class BatchSource<T> implements AsyncIterable<T> {
  /** Its name in checkpoints and errors. */
  readonly name: string;
  readonly #feeder: Feeder;
  readonly #setup: SourceSetup;
  readonly #hooks: SourceHooks;
  #seed: number | undefined;
  #epoch = 0;
  #offset = 0;
  #validRows = 0;
  #ahead: Ahead | undefined;
  // Counts what makes batches under way stale: a restore, the end of an epoch, an error.
  #generation = 0;
  #looping = 0;
  #restored = false;
  #closed = false;

  /** @internal Made by flow.data.batches. */
  constructor(feeder: Feeder, setup: SourceSetup, hooks: SourceHooks) {
    this.name = setup.name;
    this.#feeder = feeder;
    this.#setup = setup;
    this.#hooks = hooks;
    this.#seed = setup.seed;
  }

  /** Epochs that are finished: the number of the current one, from 0. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Batches of this epoch that were handed out. */
  get offset(): number {
    return this.#offset;
  }

  /** Batches of an epoch; undefined for streams. */
  get length(): number | undefined {
    return this.#feeder.perEpoch ?? undefined;
  }

  /** Rows of the batch handed out last that are elements: less than the batch where "pad" filled it. */
  get validRows(): number {
    return this.#validRows;
  }

  /** @internal True while a batch is out and no next one was asked for. */
  get busy(): boolean {
    return this.#looping > 0;
  }

  /** The position as a value: plain JSON for `restore`, in this process or another. */
  state(): BatchState {
    const { kind, ...order } = this.#order();
    return { kind, epoch: this.#epoch, offset: this.#offset, seed: this.#seedNow(), ...order };
  }

  /** Goes to the position of `state`, also within a loop; E_DATA where it belongs to another order than this source's. */
  restore(state: BatchState): void {
    this.prepare(state)();
  }

  /** @internal Checks `state` and gives the function that takes it over. */
  prepare(state: Json): () => void {
    const { epoch, offset, seed } = this.#check(state);
    return () => {
      this.#epoch = epoch;
      this.#offset = offset;
      this.#seed = seed;
      this.#restored = true;
      void this.#reset();
    };
  }

  /** Ends what is under way and takes the source out of checkpoints. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#hooks.closed();
    await this.#reset();
  }

  /** The batches from where the source is, to the end of the epoch or of `epochs`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let out = false;
    this.#tellFinished();
    try {
      while (this.#more()) {
        const made = await this.#next();
        if (made === undefined) {
          if (this.#setup.epochs === undefined) return;
          continue;
        }
        out = this.#handOut(made);
        yield made.batch as T;
        out = this.#handBack();
      }
    } finally {
      if (out) this.#breakOff();
      await this.#reset();
    }
  }

  /** @internal */
  protected *iterate(make: SyncFeeder["make"]): Generator<T, void, undefined> {
    let out = false;
    this.#tellFinished();
    try {
      while (this.#more()) {
        // A loop that cannot wait goes on; what runs at the boundary has begun before it does.
        void this.#hooks.boundary();
        if (this.#ahead !== undefined) void this.#reset();
        const made = make(this.#epoch, this.#offset, this.#seedNow());
        if (made === undefined) {
          this.#endEpoch();
          if (this.#setup.epochs === undefined) return;
          continue;
        }
        this.#offset++;
        out = this.#handOut(made);
        yield made.batch as T;
        out = this.#handBack();
      }
    } finally {
      if (out) this.#breakOff();
    }
  }

  /** A loop that does nothing because of what another run did would be a riddle. */
  #tellFinished(): void {
    const { epochs } = this.#setup;
    if (!this.#restored || epochs === undefined || this.#epoch < epochs) return;
    this.#restored = false;
    process.stderr.write(
      `${this.#where}: no batches: the restored position is behind epoch ${this.#epoch} of ${epochs}; for another run over the data load with { resume: false }\n`,
    );
  }

  #more(): boolean {
    if (this.#closed)
      throw new FlowError("E_CLOSED", `${this.#where}: it was closed; make another with flow.data.batches`);
    return this.#epoch < (this.#setup.epochs ?? Number.POSITIVE_INFINITY);
  }

  /** The next batch; undefined at the end of the epoch, and then the position is the start of the next one. */
  async #next(): Promise<Made | undefined> {
    await this.#hooks.boundary();
    for (;;) {
      const generation = this.#generation;
      this.#ahead ??= new Ahead(this.#open(), this.#setup.prefetch);
      let made: Made | undefined;
      try {
        made = await this.#ahead.take();
      } catch (error) {
        if (generation !== this.#generation) continue;
        await this.#reset();
        throw error;
      }
      const held = this.#hooks.boundary();
      if (held !== undefined) await held;
      if (generation !== this.#generation) continue;
      if (made === undefined) this.#endEpoch();
      else this.#offset++;
      return made;
    }
  }

  #open(): Pipeline {
    return this.#feeder.open(this.#epoch, this.#offset, this.#seedNow());
  }

  #endEpoch(): void {
    this.#epoch++;
    this.#offset = 0;
    void this.#reset();
  }

  #handOut(made: Made): true {
    this.#validRows = made.valid;
    this.#looping++;
    return true;
  }

  /** The loop was left in its body: the batch is used, or never will be. */
  #breakOff(): void {
    this.#handBack();
    void this.#hooks.boundary();
  }

  #handBack(): false {
    this.#looping--;
    return false;
  }

  async #reset(): Promise<void> {
    this.#generation++;
    const ahead = this.#ahead;
    this.#ahead = undefined;
    // What a source throws while it closes concerns nobody any more.
    await ahead?.pipeline.close().catch(() => undefined);
  }

  #seedNow(): number {
    this.#seed ??= this.#hooks.seed();
    return this.#seed;
  }

  #order(): Omit<BatchState, "epoch" | "offset" | "seed"> {
    const { kind, length } = this.#feeder;
    const { batchSize, lastBatch, shuffle, shuffleBuffer, shard } = this.#setup.plan;
    return { kind, length, batchSize, lastBatch, shuffle, shuffleBuffer, shard: [shard.index, shard.count] };
  }

  get #where(): string {
    return `data.batches '${this.name}'`;
  }

  #check(state: unknown): { readonly epoch: number; readonly offset: number; readonly seed: number } {
    const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
    if (!isRecord(state) || !isCount(state.epoch) || !isCount(state.offset) || !isCount(state.seed))
      throw new FlowError(
        "E_DATA",
        `${this.#where}: the state to restore is ${JSON.stringify(state)?.slice(0, 200)}, expected what state() gives`,
      );
    const { plan, seed } = this.#setup;
    const differing = Object.entries({ ...this.#order(), ...(seed === undefined ? {} : { seed }) }).find(
      ([key, value]) => JSON.stringify(state[key] ?? null) !== JSON.stringify(value),
    );
    if (differing !== undefined) {
      const [key, value] = differing;
      throw new FlowError(
        "E_DATA",
        `${this.#where}: the stored position has ${key} ${JSON.stringify(state[key] ?? null)}, this source ${JSON.stringify(value)}: it would go on in another order; make the source as it was; to start at its beginning give it another { name } or load with { resume: false }`,
      );
    }
    const { length } = this.#feeder;
    if (length !== null && state.offset > batchesOf(plan, length))
      throw new FlowError(
        "E_DATA",
        `${this.#where}: the stored position is batch ${state.offset} of an epoch of ${batchesOf(plan, length)}; the state is damaged`,
      );
    return { epoch: state.epoch, offset: state.offset, seed: state.seed };
  }
}

/** A source over arrays in memory: `for (const batch of source)` works too. */
export class ArrayBatchSource<T> extends BatchSource<T> implements Iterable<T> {
  readonly #make: SyncFeeder["make"];

  /** @internal Made by flow.data.batches. */
  constructor(feeder: SyncFeeder, setup: SourceSetup, hooks: SourceHooks) {
    super(feeder, setup, hooks);
    this.#make = feeder.make;
  }

  /** The same, without waiting. */
  [Symbol.iterator](): Generator<T, void, undefined> {
    return this.iterate(this.#make);
  }
}
