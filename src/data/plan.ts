import { checkOptions, FlowError, plainText, requireBoolean } from "../core/errors.js";

/** What happens to elements that do not fill a batch at the end of an epoch. */
export type LastBatch = "keep" | "drop" | "pad";

/** Options of `batches`. */
export interface BatchOptions {
  /** Elements of a batch. */
  readonly batchSize: number;
  /** A new order in each epoch, from the seed and the epoch; default false. */
  readonly shuffle?: boolean;
  /** Seed of the order; by default it comes from the session's seed and the source's name. */
  readonly seed?: number;
  /** Elements of a stream that the next one is drawn from when shuffling; default 1000. Other sources shuffle over all. */
  readonly shuffleBuffer?: number;
  /**
   * The elements that do not fill a batch: "keep" makes a smaller batch, "drop" leaves them out of this epoch, "pad" repeats some to
   * fill it (`validRows` tells). Needed for streams, and where `batchSize` does not divide the number of elements.
   */
  readonly lastBatch?: LastBatch;
  /** Epochs in all, those before a resume included; a loop runs to the end of the last. By default a loop runs one. */
  readonly epochs?: number;
  /** Batches prepared ahead of the one handed out; default 2, and 0 for arrays. */
  readonly prefetch?: number;
  /** The part of the elements that this process reads: `index` of `count`. Together the shards give each element once. */
  readonly shard?: { readonly index: number; readonly count: number };
  /** Name in checkpoints; by default `batches_0`, `batches_1`, ... in the order of creation. Null: not part of checkpoints. */
  readonly name?: string | null;
}

const known = [
  "batchSize",
  "shuffle",
  "seed",
  "shuffleBuffer",
  "lastBatch",
  "epochs",
  "prefetch",
  "shard",
  "name",
] as const;

/** Which elements make which batch: the checked options without those that only say when. */
export interface BatchPlan {
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly shuffleBuffer: number;
  readonly lastBatch: LastBatch;
  readonly shard: { readonly index: number; readonly count: number };
}

/** The plan for a source of `length` elements (null: not known), or an error that begins with `where`. */
export function planOf(where: string, options: BatchOptions, length: number | null): BatchPlan {
  if (typeof options !== "object" || options === null)
    throw new FlowError("E_ARGUMENT", `${where}: options are missing, expected { batchSize: 100, ... }`);
  checkOptions(where, options, known);
  const { batchSize, shuffle = false, shuffleBuffer, shard = { index: 0, count: 1 }, lastBatch } = options;
  integer(where, "batchSize", batchSize, 1);
  requireBoolean(where, "shuffle", shuffle);
  if (options.seed !== undefined) integer(where, "seed", options.seed, 0);
  if (options.prefetch !== undefined) integer(where, "prefetch", options.prefetch, 0);
  if (options.epochs !== undefined && options.epochs !== Number.POSITIVE_INFINITY)
    integer(where, "epochs", options.epochs, 0);
  if (shuffleBuffer !== undefined) {
    integer(where, "shuffleBuffer", shuffleBuffer, 1);
    if (length !== null || !shuffle)
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: shuffleBuffer is for shuffled streams; ${length === null ? "set shuffle: true with it" : "this source shuffles over all its elements, leave it out"}`,
      );
  }
  checkOptions(`${where}: shard`, shard, ["index", "count"]);
  integer(where, "shard.count", shard.count, 1);
  integer(where, "shard.index", shard.index, 0);
  if (shard.index >= shard.count)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: shard.index is ${shard.index}, expected 0 to ${shard.count - 1} of ${shard.count} shards`,
    );
  if (lastBatch !== undefined && lastBatch !== "keep" && lastBatch !== "drop" && lastBatch !== "pad")
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: lastBatch is ${plainText(lastBatch)}, expected "keep", "drop" or "pad"`,
    );
  const whole = length !== null && length % (batchSize * shard.count) === 0;
  if (lastBatch === undefined && !whole)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: ${length === null ? "a stream" : `${length} elements`} may not fill batches of ${batchSize}${shard.count > 1 ? ` in ${shard.count} shards` : ""}; say lastBatch: "drop" (left out of the epoch), "pad" (filled with repeats) or "keep" (a smaller batch)`,
    );
  const plan = {
    batchSize,
    shuffle,
    shuffleBuffer: length === null && shuffle ? (shuffleBuffer ?? 1000) : 0,
    lastBatch: whole ? "keep" : lastBatch!,
    shard: { index: shard.index, count: shard.count },
  } satisfies BatchPlan;
  if (length !== null && batchesOf(plan, length) === 0)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: no batch: ${length} elements, shard ${shard.index} of ${shard.count} has ${shardLength(plan, length)}, batchSize is ${batchSize}, lastBatch '${plan.lastBatch}'`,
    );
  return plan;
}

function integer(where: string, what: string, value: unknown, least: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < least)
    throw new FlowError("E_ARGUMENT", `${where}: ${what} is ${plainText(value)}, expected an integer from ${least}`);
}

/**
 * Elements that the shard gets of `length`. With "drop" and "pad" every shard gets as many, so that processes that wait for
 * each other make as many steps.
 */
export function shardLength({ lastBatch, shard: { index, count } }: BatchPlan, length: number): number {
  const floor = Math.floor(length / count);
  const rest = length % count;
  if (lastBatch === "drop") return floor;
  return floor + (lastBatch === "pad" ? (rest > 0 ? 1 : 0) : index < rest ? 1 : 0);
}

/** Batches of an epoch. */
export function batchesOf(plan: BatchPlan, length: number): number {
  const own = shardLength(plan, length) / plan.batchSize;
  return plan.lastBatch === "drop" ? Math.floor(own) : Math.ceil(own);
}

/**
 * Batch `offset` of an epoch as places in the epoch's order: `rows` of them, the first `valid` of which are elements of the
 * batch, the others repeats. Shard i takes places i, i + count, i + 2 count, ...
 */
export function placesOf(
  plan: BatchPlan,
  length: number,
  offset: number,
): { readonly rows: number; readonly valid: number; readonly at: (row: number) => number } {
  const { batchSize, lastBatch } = plan;
  const { index, count } = plan.shard;
  const start = offset * batchSize;
  const own = Math.min(batchSize, shardLength(plan, length) - start);
  const place = (row: number): number => (start + (row % own)) * count + index;
  // Only the last place of a padded shard can lie behind the end: it repeats one of the same round.
  const at = (row: number): number => {
    const wanted = place(row);
    const round = wanted - index;
    return wanted < length ? wanted : round + (index % (length - round));
  };
  return {
    rows: lastBatch === "pad" ? batchSize : own,
    valid: place(own - 1) < length ? own : own - 1,
    at,
  };
}
