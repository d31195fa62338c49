import { type DType, dtypeOf } from "../core/dtype.js";
import { FlowError } from "../core/errors.js";
import { Rng, streamOf } from "../core/rng.js";
import { NdArray } from "../core/tensor.js";
import { Batches } from "./batch.js";
import { type Column, collate, columnOf, gatherRows, isPlain, type TypedArray, viewRows } from "./collate.js";
import type { Feeder, Made, Pipeline, SyncFeeder } from "./feeder.js";
import { permutation } from "./permutation.js";
import { type BatchPlan, batchesOf, placesOf } from "./plan.js";

/** Arrays whose axis 0 counts the elements: one, or a tuple or object of several. */
export type Arrays = NdArray | Batches<DType> | TypedArray | readonly Arrays[] | { readonly [key: string]: Arrays };

/** What `get` of an indexed source may use to make its elements vary, the same way again after a resume. */
export interface ElementContext {
  readonly epoch: number;
  /** Uniform numbers on [0, 1) that depend on the seed, the epoch and the index alone. */
  random(): number;
}

/** Elements by number, read when they are needed. */
export interface IndexedSource<E> {
  /** Number of elements. */
  readonly length: number;
  /** The element of this number, from 0; `context` has randomness of its own for it. */
  get(index: number, context: ElementContext): E | Promise<E>;
}

/** The order of an epoch, computed once for as long as it is asked for. */
function orderOf(plan: BatchPlan, length: number): (epoch: number, seed: number) => (place: number) => number {
  let last: { readonly epoch: number; readonly seed: number; readonly order: (place: number) => number } | undefined;
  return (epoch, seed) => {
    if (!plan.shuffle) return (place) => place;
    if (last?.epoch !== epoch || last.seed !== seed)
      last = { epoch, seed, order: permutation(streamOf(seed, "data", epoch), length) };
    return last.order;
  };
}

interface Part {
  readonly path: string;
  readonly column: Column;
}

/** The columns of `source`, in order, and how many rows they all have. */
export function columnsOf(
  where: string,
  source: unknown,
): { readonly parts: readonly Part[]; readonly length: number } {
  const parts: Part[] = [];
  rebuild(where, source, "", (path, column) => parts.push({ path, column }));
  const first = parts[0];
  if (first === undefined) throw new FlowError("E_ARGUMENT", `${where}: the source holds no array`);
  for (const { path, column } of parts) {
    if (column.rows !== first.column.rows)
      throw new FlowError(
        "E_SHAPE",
        `${where}: source${path} has ${column.rows} rows, source${first.path} has ${first.column.rows}; axis 0 counts the elements and must be equal`,
      );
  }
  return { parts, length: first.column.rows };
}

/** `source` with each array replaced by what `leaf` makes of it. */
function rebuild(
  where: string,
  source: unknown,
  path: string,
  leaf: (path: string, column: Column) => unknown,
): unknown {
  const dtype = dtypeOf(source);
  if (source instanceof NdArray) return leaf(path, columnOf(source.data, source.shape, source.dtype));
  if (source instanceof Batches)
    return leaf(path, columnOf(source.data, [source.length * source.size, ...source.row], source.dtype));
  if (dtype !== undefined) {
    const data = source as Column["data"];
    return leaf(path, columnOf(data, [data.length], dtype));
  }
  if (Array.isArray(source) && !source.every((entry) => typeof entry !== "object" || entry === null))
    return source.map((part, i) => rebuild(where, part, `${path}[${i}]`, leaf));
  if (isPlain(source))
    return Object.fromEntries(
      Object.entries(source).map(([key, part]) => [key, rebuild(where, part, `${path}.${key}`, leaf)]),
    );
  const got = source === null ? "null" : Array.isArray(source) ? "a plain array" : typeof source;
  throw new FlowError(
    "E_ARGUMENT",
    `${where}: source${path} is ${got}, expected an NdArray, a typed array, batches of flow.data.loadMnist, a tuple or object of these, { length, get(index) } or a function that gives an iterable`,
  );
}

/** Batches cut from arrays in memory; views of them where nothing is shuffled or sharded. */
export function arraysFeeder(where: string, source: unknown, length: number, plan: BatchPlan): SyncFeeder {
  const order = orderOf(plan, length);
  const perEpoch = batchesOf(plan, length);
  const make = (epoch: number, offset: number, seed: number): Made | undefined => {
    if (offset >= perEpoch) return undefined;
    const { rows, valid, at } = placesOf(plan, length, offset);
    const indexOf = order(epoch, seed);
    const plain = !plan.shuffle && plan.shard.count === 1 && valid === rows;
    const batch = rebuild(where, source, "", (_path, column) =>
      plain ? viewRows(column, at(0), at(0) + rows) : gatherRows(column, rows, (i) => indexOf(at(i))),
    );
    return { batch, valid };
  };
  return {
    kind: "arrays",
    length,
    perEpoch,
    make,
    open: (epoch, offset, seed) =>
      counted(offset, async (at) => {
        // Prepared ahead, a batch is made while the native step runs; asked for now, it costs one turn of the loop.
        await new Promise((resolve) => setImmediate(resolve));
        return make(epoch, at, seed);
      }),
  };
}

/** Batches of elements that `get` reads, those of a batch at the same time. */
export function indexedFeeder(where: string, source: IndexedSource<unknown>, plan: BatchPlan): Feeder {
  const { length } = source;
  const order = orderOf(plan, length);
  const perEpoch = batchesOf(plan, length);
  const read = async (epoch: number, seed: number, index: number): Promise<unknown> => {
    let rng: Rng | undefined;
    const random = (): number => (rng ??= new Rng(streamOf(seed, "element", epoch, index))).uniform();
    try {
      return await source.get(index, { epoch, random });
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new FlowError("E_DATA", `${where}: get(${index}) failed in epoch ${epoch}: ${message}`, { cause });
    }
  };
  return {
    kind: "indexed",
    length,
    perEpoch,
    open: (epoch, offset, seed) =>
      counted(offset, async (at) => {
        if (at >= perEpoch) return undefined;
        const { rows, valid, at: place } = placesOf(plan, length, at);
        const indexOf = order(epoch, seed);
        const elements = await Promise.all(
          Array.from({ length: rows }, (_, i) => read(epoch, seed, indexOf(place(i)))),
        );
        return { batch: collate(`${where}: batch ${at}`, elements), valid };
      }),
  };
}

function counted(start: number, make: (offset: number) => Promise<Made | undefined>): Pipeline {
  let next = start;
  return { next: () => make(next++), close: async () => {} };
}
