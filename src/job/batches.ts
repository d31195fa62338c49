import type { DType } from "../core/dtype.js";
import { FlowError, plainText } from "../core/errors.js";
import { streamOf } from "../core/rng.js";
import type { NdArray } from "../core/tensor.js";
import type { Batches } from "../data/batch.js";
import type { Collated, TypedArray } from "../data/collate.js";
import type { Feeder, SyncFeeder } from "../data/feeder.js";
import { type BatchOptions, type BatchPlan, planOf } from "../data/plan.js";
import { type Arrays, arraysFeeder, columnsOf, type IndexedSource, indexedFeeder } from "../data/sized.js";
import { ArrayBatchSource, BatchSource, type SourceHooks } from "../data/source.js";
import { type StreamSource, streamFeeder } from "../data/stream.js";
import { defaultSession } from "./session.js";

/** The batch that arrays give: each an NdArray of some of its rows, in the same tuple or object. */
export type BatchOf<A> =
  A extends Batches<infer D>
    ? NdArray<D>
    : A extends NdArray<DType> | TypedArray
      ? Collated<A>
      : A extends readonly unknown[] | Readonly<Record<string, unknown>>
        ? { -readonly [K in keyof A]: BatchOf<A[K]> }
        : never;

/**
 * Batches of a source: arrays in memory (axis 0 counts the elements; several in a tuple or an object stay together),
 * `{ length, get(index) }`, or a function that gives a fresh iterable of elements. The position is part of every checkpoint
 * of the session, under the source's name, and a load goes back to it.
 */
export function batches<const E>(source: StreamSource<E>, options: BatchOptions): BatchSource<Collated<E>>;
export function batches<const E>(source: IndexedSource<E>, options: BatchOptions): BatchSource<Collated<E>>;
export function batches<const A extends Arrays>(source: A, options: BatchOptions): ArrayBatchSource<BatchOf<A>>;
export function batches(source: unknown, options: BatchOptions): BatchSource<unknown> {
  const session = defaultSession();
  const { stateful } = session;
  const given = options?.name;
  if (given !== undefined && given !== null && (typeof given !== "string" || !/^[\w.+-]{1,200}$/.test(given)))
    throw new FlowError(
      "E_NAME",
      `data.batches: the name is ${plainText(given)}, expected 1 to 200 letters, digits and _ . + -, or null`,
    );
  const where = typeof given === "string" ? `data.batches '${given}'` : "data.batches";
  const { plan, feeder } = readerOf(where, source, options);
  const name = given === undefined ? stateful.nextName("batches") : (given ?? "unnamed");
  const hooks: SourceHooks = {
    seed: () => streamOf(session.seed, "data", name).key0 >>> 0,
    boundary: () => stateful.boundary(),
    closed: () => stateful.remove(name, made),
  };
  const { seed, epochs, prefetch = "make" in feeder ? 0 : 2 } = options;
  const setup = { name, plan, seed, epochs, prefetch };
  const made =
    "make" in feeder ? new ArrayBatchSource(feeder, setup, hooks) : new BatchSource<unknown>(feeder, setup, hooks);
  if (given !== null) stateful.add(where, name, made);
  return made;
}

function readerOf(
  where: string,
  source: unknown,
  options: BatchOptions,
): { readonly plan: BatchPlan; readonly feeder: Feeder | SyncFeeder } {
  if (typeof source === "function") {
    const plan = planOf(where, options, null);
    return { plan, feeder: streamFeeder(where, source as StreamSource<unknown>, plan) };
  }
  if (isIndexed(source)) {
    if (!Number.isSafeInteger(source.length) || source.length < 0)
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: the source has length ${plainText(source.length)}, expected the number of its elements`,
      );
    const plan = planOf(where, options, source.length);
    return { plan, feeder: indexedFeeder(where, source, plan) };
  }
  if (isOneShot(source))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: the source is an iterable that can be read once; pass a function that makes it, such as () => createReadStream(file), so that each epoch and each resume can begin anew`,
    );
  const { length } = columnsOf(where, source);
  const plan = planOf(where, options, length);
  return { plan, feeder: arraysFeeder(where, source, length, plan) };
}

const isIndexed = (source: unknown): source is IndexedSource<unknown> =>
  typeof source === "object" && source !== null && "get" in source && typeof source.get === "function";

const isOneShot = (source: unknown): boolean =>
  typeof source === "object" && source !== null && (Symbol.asyncIterator in source || "next" in source);
