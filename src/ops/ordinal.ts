import { checkOptions, FlowError, plainText } from "../core/errors.js";
import { sameShape, sizeOf } from "../core/shape.js";
import type { Blob } from "../graph/blob.js";
import { currentBuilder, emit, emitCheck, textOf } from "../graph/trace.js";
import { type Named, requireBlob } from "./define.js";
import { add, cast, equal, equalOp, greaterOp, holds, multiply, notEqual, where } from "./elementwise.js";
import { blankPadding } from "./extent.js";
import { gatherRows, segmentSumOp } from "./indexing.js";
import { runningSum } from "./order.js";
import { concat, range, stack } from "./parts.js";
import { groupsOf, placesOf } from "./selection.js";
import { constant, iota } from "./sources.js";
import { reshape } from "./structure.js";

/** Options of `categoricalOrdinalEncode`. */
export interface CategoricalOrdinalEncodeOptions extends Named {
  /** True, as documented: the input holds hashes already. */
  readonly hashPrecomputed?: boolean;
}

/**
 * A number for each hash, counted from 1 in the order in which the variables have met them; 0 for the hash 0. `table`, `[2 · capacity]`,
 * holds pairs of a hash and its number, `size`, `[1]`, how many; both are variables of zeros of the input's dtype, int32 or int64, and keep
 * what the step adds. More hashes than the capacity fail the step with E_INDEX. A table that OneFlow has written is read as it is;
 * new pairs take the first free places, where OneFlow puts them by hash.
 * @flow categorical_ordinal_encode
 * @example
 * ```ts job
 * // hashes: int32 = [70, 50, 70, 0]
 * const initializer = flow.zerosInitializer({ dtype: flow.int32 });
 * const table = flow.getVariable("table", { shape: [8], dtype: flow.int32, initializer, trainable: false });
 * const size = flow.getVariable("size", { shape: [1], dtype: flow.int32, initializer, trainable: false });
 * flow.categoricalOrdinalEncode(table, size, hashes); // -> [1, 2, 1, 0]
 * ```
 */
export function categoricalOrdinalEncode(
  table: Blob,
  size: Blob,
  inputTensor: Blob,
  options: CategoricalOrdinalEncodeOptions = {},
): Blob {
  const text = "categoricalOrdinalEncode";
  const { hashPrecomputed = true, name } = checkOptions(text, options, ["hashPrecomputed", "name"]);
  for (const [what, blob] of Object.entries({ table, size, inputTensor })) requireBlob(text, what, blob);
  if (hashPrecomputed !== true)
    throw new FlowError(
      "E_ARGUMENT",
      `${text}: hashPrecomputed is ${plainText(hashPrecomputed)}, expected true; feed hashes instead of values`,
    );
  const { dtype } = inputTensor;
  if (dtype !== "int32" && dtype !== "int64")
    throw new FlowError(
      "E_DTYPE",
      `${text}: inputTensor is ${textOf(inputTensor)}, expected int32 or int64; flow.cast it`,
    );
  for (const [what, blob] of Object.entries({ table, size })) {
    if (blob.node.op !== "variable")
      throw new FlowError(
        "E_VARIABLE",
        `${text}: ${what} is the result of ${blob.node.op} '${blob.opName}', expected a variable as getVariable gives it`,
      );
    if (blob.dtype !== dtype)
      throw new FlowError(
        "E_DTYPE",
        `${text}: ${what} is ${textOf(blob)}, expected ${dtype}, the dtype of the input ${textOf(inputTensor)}`,
      );
  }
  if (table.shape.length !== 1 || table.shape[0]! % 2 !== 0 || !sameShape(size.shape, [1]))
    throw new FlowError(
      "E_SHAPE",
      `${text}: table is ${textOf(table)} and size ${textOf(size)}, expected [2 · capacity] and [1]`,
    );
  // A second use in the job goes on from the first.
  const builder = currentBuilder(text);
  const { updates } = builder;
  const known = { table: updates.get(table.opName) ?? table, size: updates.get(size.opName) ?? size };
  const { ordinals, ...next } = encode(known.table, known.size, reshape(inputTensor, [sizeOf(inputTensor.shape)]));
  emitCheck({
    blob: next.size,
    low: 0,
    high: table.shape[0]! / 2,
    what: `${text}${name === undefined ? "" : ` '${builder.qualify(name)}'`}: the table's capacity is too small, give a larger one: number of hashes`,
    code: "E_INDEX",
  });
  updates.set(table.opName, next.table);
  updates.set(size.opName, next.size);
  return reshape(ordinals, inputTensor.shape, name === undefined ? {} : { name });
}

/** Looks up flat hashes among the pairs, by sorting both together, and adds the new ones. */
function encode(table: Blob, size: Blob, hashes: Blob): { ordinals: Blob; table: Blob; size: Blob } {
  const { dtype } = hashes;
  const [capacity, count] = [table.shape[0]! / 2, hashes.shape[0]!];
  const total = capacity + count;
  const pairs = reshape(table, [capacity, 2]);
  const [keys, values] = [0, 1].map((column) => reshape(range(pairs, 1, column, 1), [capacity])) as [Blob, Blob];
  const zeros = (length: number, type = dtype): Blob => constant(0, { dtype: type, shape: [length] });
  const sum = (x: Blob, ids: Blob, segments: number): Blob => emit(segmentSumOp, [x, ids], { segments });

  const all = concat([keys, hashes]);
  const { order, first, group } = groupsOf(all);
  // The number of each group: that of its one pair in the table, or 0.
  const knownNumber = sum(gatherRows(concat([values, zeros(count)]), order), group, total);
  const unknown = multiply(equal(gatherRows(knownNumber, group), 0), notEqual(gatherRows(all, order), 0));
  const begins = multiply(first, cast(unknown, "int32"));
  const isNew = range(sum(begins, order, total), 0, capacity, count);
  const rank = concat([zeros(capacity, "int32"), runningSum(isNew)]);
  const newRank = cast(sum(multiply(begins, gatherRows(rank, order)), group, total), dtype);
  const number = add(knownNumber, where(holds(greaterOp, newRank, 0), add(size, newRank), 0));
  const ordinals = range(sum(gatherRows(number, group), order, total), 0, capacity, count);

  const added = placesOf(isNew);
  const most = Math.min(count, capacity);
  const extent = { axis: 0, count: added.count };
  const free = range(placesOf(cast(holds(equalOp, keys, 0), "int32")).places, 0, 0, most);
  const newKeys = blankPadding(range(gatherRows(hashes, added.places), 0, 0, most), extent);
  const newValues = blankPadding(add(add(size, iota([most], 0, dtype)), 1), extent);
  const nextKeys = add(keys, sum(newKeys, free, capacity));
  const nextValues = add(values, sum(newValues, free, capacity));
  return {
    ordinals,
    table: reshape(stack([nextKeys, nextValues], 1), [2 * capacity]),
    size: add(size, cast(added.count, dtype)),
  };
}
