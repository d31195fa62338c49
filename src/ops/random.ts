import { type DType, isFloat } from "../core/dtype.js";
import { checkOptions, FlowError, plainText } from "../core/errors.js";
import { keepMask, Rng } from "../core/rng.js";
import { type Shape, sizeOf } from "../core/shape.js";
import { zeros } from "../core/tensor.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { currentBuilder, emit, emitCheck, textOf } from "../graph/trace.js";
import { checkInitializer, type Initializer, randomUniformInitializer, sample } from "../initializers/initializer.js";
import { hostOp, type Named, requireBlob, requireList, requireNumbers } from "./define.js";
import { cast, less, multiply } from "./elementwise.js";
import { gatherRows } from "./indexing.js";
import { reduceMax, reduceMin } from "./reduce.js";

/** Options of random functions. */
export interface RandomOptions extends Named {
  /** Makes what is drawn independent of the session's seed, the job and the name: a function of seed and call. Default none. */
  readonly seed?: number;
}

/** What host ops that draw have among their attributes: `[seed]`, or nothing for the stream of the session, job and name. */
type Seed = { readonly seed: readonly number[] };

function seedOf(where: string, seed: number | undefined): readonly number[] {
  if (seed === undefined) return [];
  if (!Number.isSafeInteger(seed))
    throw new FlowError("E_ARGUMENT", `${where}: seed is ${plainText(seed)}, expected an integer`);
  return [seed];
}

/** The options of a function that takes no others, checked: name and seed. */
function drawing(where: string, options: RandomOptions): { name: string | undefined; seed: readonly number[] } {
  const { seed, name } = checkOptions(where, options, ["seed", "name"]);
  return { name, seed: seedOf(where, seed) };
}

// --- masks ---------------------------------------------------------------------------------------------------------

function requireRate(where: string, rate: number): void {
  if (!(typeof rate === "number" && rate >= 0 && rate < 1))
    throw new FlowError("E_ARGUMENT", `${where}: rate is ${plainText(rate)}, expected 0 <= rate < 1`);
}

/**
 * In a train job: zeroes each element with probability `rate` and scales the others by `1 / (1 - rate)`; in a predict
 * job, or at rate 0, `x` itself. An element is kept where u >= rate. The mask depends on (seed, job, op name, call)
 * alone, so it is the same on every engine and after a resume.
 * @flow nn.dropout
 * @example
 * ```ts job
 * // x = [1, 2]
 * flow.nn.dropout(x, 0.5); // -> [1, 2]
 * ```
 */
export function dropout(x: Blob, rate: number, options: RandomOptions = {}): Blob {
  const { name, seed } = drawing("dropout", options);
  requireBlob("dropout", "x", x);
  requireRate("dropout", rate);
  if (!currentBuilder("dropout").training || rate === 0) return x;
  const mask = emit(
    dropoutMaskOp,
    [],
    { shape: x.shape, rate, seed },
    name === undefined ? undefined : `${name}-dropout_random_mask_like`,
  );
  return multiply(multiply(x, cast(mask, x.dtype)), 1 / (1 - rate), name === undefined ? {} : { name });
}

/**
 * int8 ones with probability `1 - rate`, else zeros, of the shape of `like`: drawn at each call, in jobs of any type. (v0.2 wanted a
 * name with a seed.)
 * @flow nn.random_mask_like
 * @example
 * ```ts job
 * // x = [1, 2]
 * flow.nn.randomMaskLike(x, 0); // -> [1, 1]
 * ```
 */
export function randomMaskLike(like: Blob, rate: number, options: RandomOptions = {}): Blob {
  const { name, seed } = drawing("randomMaskLike", options);
  requireBlob("randomMaskLike", "like", like);
  requireRate("randomMaskLike", rate);
  return cast(emit(dropoutMaskOp, [], { shape: like.shape, rate, seed }, name), "int8");
}

/** uint8 ones where kept; drawn on the host, 16 random bits a decision. */
export const dropoutMaskOp = hostOp("dropoutMask", {
  infer: (_, { shape }: { readonly shape: Shape; readonly rate: number } & Seed): BlobType => ({
    dtype: "uint8",
    shape,
  }),
  grad: "stop",
  host: (_, { shape, rate }, { stream }) => {
    const mask = zeros("uint8", shape);
    keepMask(stream, sizeOf(shape), rate, mask.data);
    return [mask];
  },
});

// --- numbers -------------------------------------------------------------------------------------------------------

/** Numbers that an initializer draws. */
export const randomNumbersOp = hostOp("randomNumbers", {
  infer: (_, { dtype, shape }: RandomNumbers & Seed): BlobType => ({ dtype, shape }),
  grad: "stop",
  host: async (_, { dtype, shape, initializer }, { stream }) => [
    await sample(JSON.parse(initializer) as Initializer, stream, shape, dtype),
  ],
});
type RandomNumbers = {
  readonly dtype: DType;
  readonly shape: Shape;
  /** As JSON. */
  readonly initializer: string;
};

/** Options of `bernoulli`. */
export interface BernoulliOptions extends RandomOptions {
  /** Default that of `x`. */
  readonly dtype?: DType;
}

/**
 * 1 with the probability that `x` says, else 0: drawn at each call, 24 random bits a decision. A probability outside [0, 1] fails the
 * step with E_ARGUMENT.
 * @flow random.bernoulli
 * @example
 * ```ts job
 * // x = [0, 1, 1]
 * flow.random.bernoulli(x); // -> [0, 1, 1]
 * ```
 */
export function bernoulli(x: Blob, options: BernoulliOptions = {}): Blob {
  const where = "random.bernoulli";
  const { seed, dtype, name } = checkOptions(where, options, ["seed", "dtype", "name"]);
  requireBlob(where, "x", x);
  if (!isFloat(x.dtype))
    throw new FlowError(
      "E_DTYPE",
      `${where}: x is ${textOf(x)}, expected probabilities of a floating dtype; flow.cast it`,
    );
  requireNumbers(where, dtype ?? x.dtype);
  for (const blob of [reduceMin(x), reduceMax(x)])
    emitCheck({
      blob,
      low: 0,
      high: 1,
      what: `${where}${name === undefined ? "" : ` '${name}'`}: probability`,
      code: "E_ARGUMENT",
    });
  const initializer = randomUniformInitializer(0, 2 ** 24 - 1, { dtype: "int32" });
  const drawn = emit(
    randomNumbersOp,
    [],
    { dtype: "int32", shape: x.shape, initializer: JSON.stringify(initializer), seed: seedOf(where, seed) },
    name,
  );
  return cast(less(cast(drawn, x.dtype), multiply(x, 2 ** 24)), dtype ?? x.dtype);
}

/** Options of `decodeRandom`. */
export interface DecodeRandomOptions extends RandomOptions {
  /** Elements in a batch, the first dimension; default 1. */
  readonly batchSize?: number;
  /** What draws them; default uniform on [0, 1], for an integer dtype 0 and 1. */
  readonly initializer?: Initializer;
  /** Accepted as documented; without effect. */
  readonly tick?: Blob;
}

/**
 * A synthetic batch, `[batchSize, ...shape]`: drawn at each call, the same on every engine and after a resume.
 * @flow data.decode_random
 * @example
 * ```ts job
 * const initializer = flow.constantInitializer(7);
 * flow.data.decodeRandom([2], flow.float, { batchSize: 2, initializer }); // -> [[7, 7], [7, 7]]
 * ```
 */
export function decodeRandom(shape: Shape, dtype: DType, options: DecodeRandomOptions = {}): Blob {
  const where = "data.decodeRandom";
  const known = ["batchSize", "initializer", "tick", "seed", "name"];
  const { batchSize = 1, initializer, tick, seed, name } = checkOptions(where, options, known);
  requireList(where, "shape", shape);
  const full = [batchSize, ...shape];
  if (!full.every((d) => Number.isInteger(d) && d > 0))
    throw new FlowError(
      "E_SHAPE",
      `${where}: batchSize is ${plainText(batchSize)} and shape ${plainText(shape)}, expected positive integers`,
    );
  requireNumbers(where, dtype);
  if (tick !== undefined) requireBlob(where, "tick", tick);
  const draws = initializer ?? randomUniformInitializer(0, 1, { dtype });
  checkInitializer(where, draws, dtype, full);
  const attrs = { dtype, shape: full, initializer: JSON.stringify(draws), seed: seedOf(where, seed) };
  return emit(randomNumbersOp, [], attrs, name);
}

// --- order ---------------------------------------------------------------------------------------------------------

/**
 * A random order of the first axis of `value`: the numbers from 0 to its size, int32, each once, drawn at each call. (v0.2 wanted a
 * name with a seed.)
 * @flow random.generate_random_batch_permutation_indices
 * @example
 * ```ts job
 * // x = [[1, 2], [3, 4]]
 * flow.sort(flow.random.generateRandomBatchPermutationIndices(x)); // -> [0, 1]
 * ```
 */
export function generateRandomBatchPermutationIndices(value: Blob, options: RandomOptions = {}): Blob {
  const where = "random.generateRandomBatchPermutationIndices";
  const { name, seed } = drawing(where, options);
  requireBlob(where, "value", value);
  return emit(permutationOp, [], { count: value.shape[0]!, seed }, name);
}

/** The numbers below `count` in a random order, by Fisher and Yates. */
export const permutationOp = hostOp("permutation", {
  infer: (_, { count }: { readonly count: number } & Seed): BlobType => ({ dtype: "int32", shape: [count] }),
  grad: "stop",
  host: (_, { count }, { stream }) => {
    const rng = new Rng(stream);
    const order = zeros("int32", [count]);
    const { data } = order;
    for (let i = 0; i < count; i++) {
      const j = rng.integer(i + 1);
      data[i] = data[j]!;
      data[j] = i;
    }
    return [order];
  },
});

/**
 * The rows of `value` in a random order, drawn at each call; the gradient goes back to where each row came from. (In v0.2 a seed was an
 * error.)
 * @flow random.shuffle
 * @example
 * ```ts job
 * // x = [3, 1, 2]
 * flow.sort(flow.random.shuffle(x)); // -> [1, 2, 3]
 * ```
 */
export function shuffle(value: Blob, options: RandomOptions = {}): Blob {
  const { name, seed } = drawing("random.shuffle", options);
  requireBlob("random.shuffle", "value", value);
  const order = emit(
    permutationOp,
    [],
    { count: value.shape[0]!, seed },
    name === undefined ? undefined : `${name}-indices`,
  );
  return gatherRows(value, order, name);
}
