import { FlowError } from "../core/errors.js";
import { streamOf, threefry } from "../core/rng.js";
import { collate } from "./collate.js";
import type { Feeder, Made } from "./feeder.js";
import type { BatchPlan } from "./plan.js";

/** What the function of a stream is told. */
export interface StreamContext {
  readonly epoch: number;
}

/** Elements one after the other: called at the start of each epoch, and of each resume, for a fresh iterable. */
export type StreamSource<E> = (context: StreamContext) => Iterable<E> | AsyncIterable<E>;

interface Slot {
  readonly element: unknown;
  readonly padding: boolean;
}

/** Batches of elements that are read one after the other. A resume reads and drops those before its place. */
export function streamFeeder(where: string, source: StreamSource<unknown>, plan: BatchPlan): Feeder {
  return {
    kind: "stream",
    length: null,
    perEpoch: null,
    open: (epoch, offset, seed) => {
      const batches = readBatches(where, source, plan, epoch, offset, seed);
      return {
        next: async () => (await batches.next()).value ?? undefined,
        close: async () => void (await batches.return(undefined)),
      };
    },
  };
}

async function* readBatches(
  where: string,
  source: StreamSource<unknown>,
  plan: BatchPlan,
  epoch: number,
  offset: number,
  seed: number,
): AsyncGenerator<Made, undefined> {
  const { batchSize, lastBatch } = plan;
  let slots: Slot[] = [];
  let count = 0;
  let made = 0;
  const finish = (): Made | undefined => {
    const elements = slots.map(({ element }) => element);
    const valid = slots.filter(({ padding }) => !padding).length;
    const own = elements.length;
    if (lastBatch === "pad") while (elements.length < batchSize) elements.push(elements[elements.length % own]);
    slots = [];
    // What a resume passes over is not stacked.
    return made++ < offset ? undefined : { batch: collate(`${where}: batch ${made - 1}`, elements), valid };
  };
  const raw = readElements(where, source, epoch);
  const shuffled = plan.shuffle ? buffered(raw, plan.shuffleBuffer, seed, epoch) : raw;
  for await (const slot of sharded(shuffled, plan)) {
    count++;
    slots.push(slot);
    if (slots.length < batchSize) continue;
    const batch = finish();
    if (batch !== undefined) yield batch;
  }
  if (slots.length > 0 && lastBatch !== "drop") {
    const batch = finish();
    if (batch !== undefined) yield batch;
  }
  if (made === 0)
    throw new FlowError(
      "E_DATA",
      `${where}: the stream gave ${count} elements for this shard in epoch ${epoch}, less than a batch; its function must return a fresh iterable at each call, such as () => readLines(file)`,
    );
  if (made < offset)
    throw new FlowError(
      "E_DATA",
      `${where}: the stream gave ${made} batches in epoch ${epoch}, but ${offset} had been read where it resumes; it must give the same elements again`,
    );
  return undefined;
}

async function* readElements(where: string, source: StreamSource<unknown>, epoch: number): AsyncGenerator<unknown> {
  let read = 0;
  const fail = (cause: unknown): FlowError =>
    new FlowError(
      "E_DATA",
      `${where}: reading element ${read} of epoch ${epoch} failed: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  let iterable: unknown;
  try {
    iterable = source({ epoch });
  } catch (cause) {
    throw fail(cause);
  }
  if (!isIterable(iterable))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: the function of the stream returned ${iterable instanceof Promise ? "a promise" : typeof iterable}, expected an iterable or an async iterable`,
    );
  const iterator = Symbol.asyncIterator in iterable ? iterable[Symbol.asyncIterator]() : iterable[Symbol.iterator]();
  let open = true;
  try {
    for (;;) {
      let result: IteratorResult<unknown>;
      try {
        result = await iterator.next();
      } catch (cause) {
        open = false;
        throw fail(cause);
      }
      if (result.done === true) {
        open = false;
        return;
      }
      read++;
      yield await result.value;
    }
  } finally {
    if (open) await iterator.return?.();
  }
}

function isIterable(value: unknown): value is Iterable<unknown> | AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);
}

/** Draws each next element from a buffer of `size`, which the stream refills; draw n depends on (seed, epoch, n) alone. */
async function* buffered(
  elements: AsyncIterable<unknown>,
  size: number,
  seed: number,
  epoch: number,
): AsyncGenerator<unknown> {
  const stream = streamOf(seed, "data", epoch);
  const words = new Int32Array(2);
  let draws = 0;
  const draw = (bound: number): number => {
    threefry(stream, draws | 0, Math.floor(draws / 4294967296), words);
    draws++;
    return Math.floor(((words[0]! >>> 0) / 4294967296) * bound);
  };
  const buffer: unknown[] = [];
  for await (const element of elements) {
    if (buffer.length < size) {
      buffer.push(element);
      continue;
    }
    const at = draw(size);
    const chosen = buffer[at];
    buffer[at] = element;
    yield chosen;
  }
  while (buffer.length > 0) {
    const at = draw(buffer.length);
    const chosen = buffer[at];
    const last = buffer.pop();
    if (at < buffer.length) buffer[at] = last;
    yield chosen;
  }
}

/** Every count-th element from number index on; the last, incomplete round as `lastBatch` says. */
async function* sharded(elements: AsyncIterable<unknown>, { shard, lastBatch }: BatchPlan): AsyncGenerator<Slot> {
  const { index, count } = shard;
  let round: unknown[] = [];
  for await (const element of elements) {
    round.push(element);
    if (round.length < count) continue;
    yield { element: round[index], padding: false };
    round = [];
  }
  if (round.length === 0 || lastBatch === "drop") return;
  if (index < round.length) yield { element: round[index], padding: false };
  else if (lastBatch === "pad") yield { element: round[index % round.length], padding: true };
}
