/**
 * Data sets and batches on the host.
 * @module
 */

export { Batches } from "../data/batch.js";
export { type LoadMnistOptions, loadMnist } from "../data/mnist.js";
export type { BatchOptions, LastBatch } from "../data/plan.js";
export type { Arrays, ElementContext, IndexedSource } from "../data/sized.js";
export { ArrayBatchSource, BatchSource, type BatchState } from "../data/source.js";
export type { StreamContext, StreamSource } from "../data/stream.js";
export { type BatchOf, batches } from "../job/batches.js";
export {
  type OFRecordRawDecoderOptions,
  type OFRecordReaderOptions,
  ofrecordRawDecoder,
  ofrecordRawDecoder as OFRecordRawDecoder,
  ofrecordReader,
} from "../ops/pipeline.js";
export { type DecodeRandomOptions, decodeRandom } from "../ops/random.js";
