import type { DType } from "../core/dtype.js";
import { checkOptions, FlowError, plainText, requireBoolean, textOfValue } from "../core/errors.js";
import { type Shape, sizeOf } from "../core/shape.js";
import { integerRange, type Tensor, zeros } from "../core/tensor.js";
import {
  epochOrder,
  type Feature,
  type Halves,
  nameOfRecord,
  type OFRecord,
  type Parts,
  type Place,
  parseRecord,
  partNames,
  RecordIndex,
  readRecords,
} from "../data/ofrecord.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { emit, textOf } from "../graph/trace.js";
import { type HostContext, hostOp, type Named, requireBlob, requireList, requireNumbers } from "./define.js";

/** Options of `ofrecordReader`. */
export interface OFRecordReaderOptions extends Named {
  /** Records in a batch; default 1. */
  readonly batchSize?: number;
  /** Number of part files; default 1. */
  readonly dataPartNum?: number;
  /** What the names of the part files begin with; default "part-". */
  readonly partNamePrefix?: string;
  /** Digits of the number behind the prefix, zeros in front: 5 for `part-00000`. Default -1, `part-0`. */
  readonly partNameSuffixLength?: number;
  /** A random order of all records, another one in each epoch; default false. */
  readonly randomShuffle?: boolean;
  /** Accepted as documented; without effect, as the shuffle is over all records. Default 1024. */
  readonly shuffleBufferSize?: number;
  /** From the second epoch on the part files follow one another in a random order, another one in each epoch; default false. */
  readonly shuffleAfterEpoch?: boolean;
}

type ReaderAttrs = {
  readonly folder: string;
  readonly parts: readonly string[];
  readonly batchSize: number;
  readonly randomShuffle: boolean;
  readonly shuffleAfterEpoch: boolean;
};

const READER = "data.ofrecordReader";

/**
 * The next `batchSize` records of OFRecord files at each call of the job, without end: batches run across files and epochs. Which
 * records call n sees depends on the files, the options, the seed and n alone, so it is the same on every engine and after a resume. As a
 * value it is their numbers, `[batchSize]` int64, counted over the files in order. A file that is missing, cut off or damaged
 * fails the call with E_DATA. (v0.2 shuffled through a buffer of `shuffleBufferSize` records; here `randomShuffle` is over all
 * records, which takes eight bytes of memory for each.)
 * @flow data.ofrecord_reader
 * @example
 * ```ts no-run
 * const record = flow.data.ofrecordReader("criteo/train", { batchSize: 512, dataPartNum: 256, partNameSuffixLength: 5 });
 * const labels = flow.data.ofrecordRawDecoder(record, "labels", [1], flow.int32); // int32[512,1]
 * ```
 */
export function ofrecordReader(ofrecordDir: string, options: OFRecordReaderOptions = {}): Blob {
  const {
    batchSize = 1,
    dataPartNum = 1,
    partNamePrefix = "part-",
    partNameSuffixLength = -1,
    randomShuffle = false,
    shuffleBufferSize = 1024,
    shuffleAfterEpoch = false,
    name,
  } = checkOptions(READER, options, [
    "batchSize",
    "dataPartNum",
    "partNamePrefix",
    "partNameSuffixLength",
    "randomShuffle",
    "shuffleBufferSize",
    "shuffleAfterEpoch",
    "name",
  ]);
  const wrong = (what: string, value: unknown, expected: string): FlowError =>
    new FlowError("E_ARGUMENT", `${READER}: ${what} is ${plainText(value)}, expected ${expected}`);
  if (typeof ofrecordDir !== "string" || ofrecordDir === "")
    throw wrong("ofrecordDir", ofrecordDir, "the path of the folder that holds the part files");
  for (const [what, value] of Object.entries({ batchSize, dataPartNum, shuffleBufferSize }))
    if (!Number.isSafeInteger(value) || value < 1) throw wrong(what, value, "a positive integer");
  if (typeof partNamePrefix !== "string" || partNamePrefix === "")
    throw wrong("partNamePrefix", partNamePrefix, "a string such as 'part-'");
  if (!Number.isSafeInteger(partNameSuffixLength) || partNameSuffixLength < -1 || partNameSuffixLength > 255)
    throw wrong("partNameSuffixLength", partNameSuffixLength, "-1 or a number of digits");
  for (const [what, value] of Object.entries({ randomShuffle, shuffleAfterEpoch })) requireBoolean(READER, what, value);
  const parts = partNames(dataPartNum, partNamePrefix, partNameSuffixLength);
  return emit(ofrecordReaderOp, [], { folder: ofrecordDir, parts, batchSize, randomShuffle, shuffleAfterEpoch }, name);
}

/** Numbers of the records, and where they lie: part, number in it, offset and length, which decoders read. */
export const ofrecordReaderOp = hostOp("ofrecordReader", {
  infer: (_, { batchSize }: ReaderAttrs): readonly BlobType[] => [
    { dtype: "int64", shape: [batchSize] },
    { dtype: "int64", shape: [batchSize, 4] },
  ],
  grad: "stop",
  host: async (_, attrs, context) => {
    const index = await indexOf(attrs);
    const numbers = zeros("int64", [attrs.batchSize]);
    const places = zeros("int64", [attrs.batchSize, 4]);
    for (let i = 0; i < attrs.batchSize; i++) {
      const position = context.call * attrs.batchSize + i;
      const epoch = Math.floor(position / index.length);
      const place = orderOf(attrs, index, epoch, context)(position - epoch * index.length);
      numbers.data[i] = BigInt(index.numberOf(place));
      places.data.set([place.part, place.record, place.offset, place.length].map(BigInt), 4 * i);
    }
    return [numbers, places];
  },
});

const partsOf = ({ folder, parts }: ReaderAttrs): Parts => ({ folder, names: parts });

/** Indices of this thread by the attributes of their reader: the files are gone through once, and again after an error. */
const indices = new Map<string, Promise<RecordIndex>>();

function indexOf(attrs: ReaderAttrs): Promise<RecordIndex> {
  const key = JSON.stringify([attrs.folder, attrs.parts]);
  let index = indices.get(key);
  if (index === undefined) {
    index = RecordIndex.of(READER, partsOf(attrs));
    index.catch(() => indices.delete(key));
    indices.set(key, index);
  }
  return index;
}

type Order = (position: number) => Place;
/** The last order of each index, options and stream. */
const orders = new WeakMap<RecordIndex, Map<string, { readonly epoch: number; readonly order: Order }>>();

function orderOf(attrs: ReaderAttrs, index: RecordIndex, epoch: number, { streamOfEpoch }: HostContext): Order {
  const { randomShuffle, shuffleAfterEpoch, parts } = attrs;
  const { key0, key1 } = streamOfEpoch(0);
  const key = JSON.stringify([key0, key1, randomShuffle, shuffleAfterEpoch]);
  const known = orders.get(index) ?? new Map<string, { readonly epoch: number; readonly order: Order }>();
  orders.set(index, known);
  const last = known.get(key);
  if (last?.epoch === epoch) return last.order;
  const order = epochOrder(index, parts.length, epoch, streamOfEpoch(epoch), { randomShuffle, shuffleAfterEpoch });
  known.set(key, { epoch, order });
  return order;
}

// --- decoding ------------------------------------------------------------------------------------------------------

/** Options of `ofrecordRawDecoder`. */
export interface OFRecordRawDecoderOptions extends Named {
  /** Records may hold fewer values than `shape` has places; the places behind them are 0. Default false. */
  readonly dim1VaryingLength?: boolean;
  /** The same: fewer values are followed by zeros. Default false. */
  readonly autoZeroPadding?: boolean;
}

type DecoderAttrs = {
  readonly folder: string;
  readonly parts: readonly string[];
  readonly feature: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly padding: boolean;
};

const DECODER = "data.ofrecordRawDecoder";

/**
 * The feature `blobName` of each record, `[batchSize, ...shape]`. Numbers are converted to `dtype` (fractions cut off) and must be as many
 * as `shape` has places, or fewer with `autoZeroPadding`. Of bytes, one string a record, each byte is a signed number from -128
 * (with uint8: the byte itself); a longer string is cut. A record that lacks the feature, holds another number of values, or one that
 * `dtype` cannot hold fails the call with E_DATA. (v0.2 mixed up its two flags and left the places behind fewer values unset.)
 * @flow data.ofrecord_raw_decoder @flow data.OFRecordRawDecoder
 * @example
 * ```ts no-run
 * const record = flow.data.ofrecordReader("criteo/train", { batchSize: 512 });
 * flow.data.ofrecordRawDecoder(record, "dense_fields", [13], flow.float); // float32[512,13]
 * ```
 */
export function ofrecordRawDecoder(
  inputBlob: Blob,
  blobName: string,
  shape: Shape,
  dtype: DType,
  options: OFRecordRawDecoderOptions = {},
): Blob {
  const known = ["dim1VaryingLength", "autoZeroPadding", "name"];
  const { dim1VaryingLength = false, autoZeroPadding = false, name } = checkOptions(DECODER, options, known);
  requireBlob(DECODER, "inputBlob", inputBlob);
  if (inputBlob.node.op !== ofrecordReaderOp.name || inputBlob.index !== 0)
    throw new FlowError(
      "E_ARGUMENT",
      `${DECODER}: inputBlob is ${textOf(inputBlob)} of '${inputBlob.opName}', expected what data.ofrecordReader returned`,
    );
  if (typeof blobName !== "string" || blobName === "")
    throw new FlowError(
      "E_ARGUMENT",
      `${DECODER}: blobName is ${textOfValue(blobName)}, expected the name of a feature such as "labels"`,
    );
  requireList(DECODER, "shape", shape);
  if (!shape.every((d) => Number.isInteger(d) && d > 0))
    throw new FlowError("E_SHAPE", `${DECODER}: shape is ${plainText(shape)}, expected positive integers`);
  requireNumbers(DECODER, dtype);
  for (const [what, value] of Object.entries({ dim1VaryingLength, autoZeroPadding }))
    requireBoolean(DECODER, what, value);
  const { folder, parts } = inputBlob.node.attrs as ReaderAttrs;
  const attrs = { folder, parts, feature: blobName, dtype, shape, padding: dim1VaryingLength || autoZeroPadding };
  return emit(ofrecordRawDecoderOp, [inputBlob.node.outputs[1]!], attrs, name);
}

export const ofrecordRawDecoderOp = hostOp("ofrecordRawDecoder", {
  infer: ([places], { dtype, shape }: DecoderAttrs): BlobType => ({ dtype, shape: [places!.shape[0]!, ...shape] }),
  grad: "stop",
  host: async ([places], { folder, parts, feature, dtype, shape, padding }) => {
    const from = { folder, names: parts };
    const records = await recordsAt(places!, from);
    const result = zeros(dtype, [records.length, ...shape]);
    const size = sizeOf(shape);
    for (const [i, { place, features }] of records.entries()) {
      const wrong = decodeInto(result, i * size, size, features.get(feature), padding);
      if (wrong === undefined) continue;
      const has = features.size === 0 ? "no features" : [...features.keys()].sort().join(", ");
      const what = features.has(feature)
        ? `feature '${feature}' ${wrong}`
        : `has no feature '${feature}'; it has ${has}`;
      throw new FlowError("E_DATA", `${nameOfRecord(DECODER, from, place)}: ${what}`);
    }
    return [result];
  },
});

/** A record of a batch and where it came from. */
interface Read {
  readonly place: Place;
  readonly features: OFRecord;
}

/** The records of a batch, which is one tensor of places for all its decoders: they are read and parsed once. */
const batches = new WeakMap<Tensor, Promise<readonly Read[]>>();

function recordsAt(tensor: Tensor, parts: Parts): Promise<readonly Read[]> {
  let records = batches.get(tensor);
  if (records === undefined) batches.set(tensor, (records = readBatch(tensor, parts)));
  return records;
}

async function readBatch({ data, shape }: Tensor, parts: Parts): Promise<readonly Read[]> {
  const places = Array.from({ length: shape[0]! }, (_, i): Place => {
    const [part, record, offset, length] = Array.from({ length: 4 }, (_, k) => Number(data[4 * i + k]));
    return { part: part!, record: record!, offset: offset!, length: length! };
  });
  const messages = await readRecords(DECODER, parts, places);
  return await Promise.all(
    places.map(async (place, i) => ({
      place,
      features: await parseRecord(nameOfRecord(DECODER, parts, place), messages[i]!),
    })),
  );
}

/** Writes the values of a feature behind `start`; what is wrong with it, or undefined. */
function decodeInto(
  { dtype, data }: Tensor,
  start: number,
  size: number,
  feature: Feature | null | undefined,
  padding: boolean,
): string | undefined {
  const bytesList = feature?.bytesList ?? undefined;
  const list = feature?.floatList ?? feature?.doubleList ?? feature?.int32List ?? feature?.int64List ?? undefined;
  let values: ArrayLike<number | Halves>;
  if (bytesList !== undefined) {
    const [bytes, ...more] = bytesList.value;
    if (bytes === undefined || more.length > 0)
      return `holds ${bytesList.value.length} byte strings, expected one; write one string a record`;
    const whole = dtype === "uint8" ? bytes : new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    values = whole.subarray(0, size);
  } else if (list !== undefined) values = list.value;
  else return "holds no list of values; write one of bytes, float, double, int32 or int64";
  const { length } = values;
  if (length > size || (length < size && !padding)) {
    const advice = length < size ? "; give that shape, or { autoZeroPadding: true } for zeros behind them" : "";
    return `holds ${length} ${bytesList === undefined ? "values" : "bytes"}, expected ${padding ? "at most " : ""}${size}${advice}`;
  }
  const range = integerRange[dtype];
  for (let i = 0; i < length; i++) {
    const value = values[i]!;
    if (data instanceof BigInt64Array) {
      if (typeof value === "object") data[start + i] = bigIntOf(value);
      else if (Math.abs(value) < 2 ** 63) data[start + i] = BigInt(Math.trunc(value));
      else return doesNotFit(value, i, dtype);
      continue;
    }
    const number = typeof value === "object" ? Number(bigIntOf(value)) : value;
    if (range === undefined) data[start + i] = number;
    else if (Math.trunc(number) >= range[0] && Math.trunc(number) <= range[1]) data[start + i] = Math.trunc(number);
    else return doesNotFit(number, i, dtype);
  }
  return undefined;
}

const doesNotFit = (value: number, i: number, dtype: DType): string =>
  `holds ${value} at index ${i}, which ${dtype} cannot hold; decode it as a wider dtype and flow.cast it`;

const bigIntOf = ({ low, high }: Halves): bigint => (BigInt(high) << 32n) | BigInt(low >>> 0);
