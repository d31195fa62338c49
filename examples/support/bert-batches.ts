import { below } from "./random.js";
import { specialTokens } from "./wordpiece.js";

const [pad, , cls, sep, mask] = specialTokens.map((_, id) => id) as [number, number, number, number, number];

/** Token sequences of one length, row after row, as the model takes them. */
export interface Sequences {
  readonly inputIds: Int32Array<ArrayBuffer>;
  readonly inputMask: Int32Array<ArrayBuffer>;
  readonly segmentIds: Int32Array<ArrayBuffer>;
}

const sequences = (rows: number, length: number): Sequences => ({
  inputIds: new Int32Array(rows * length).fill(pad),
  inputMask: new Int32Array(rows * length),
  segmentIds: new Int32Array(rows * length),
});

/** Writes `[CLS] first [SEP] second [SEP]` to a row; what is too long is cut at its end. */
function place(
  into: Sequences,
  length: number,
  row: number,
  first: readonly number[],
  second: readonly number[],
): void {
  const room = length - (second.length === 0 ? 2 : 3);
  const a = first.slice(0, Math.max(room - second.length, Math.ceil(room / 2)));
  const b = second.slice(0, room - a.length);
  const ids = [cls, ...a, sep, ...(b.length === 0 ? [] : [...b, sep])];
  for (const [i, id] of ids.entries()) {
    const at = row * length + i;
    into.inputIds[at] = id;
    into.inputMask[at] = 1;
    into.segmentIds[at] = i < a.length + 2 ? 0 : 1;
  }
}

/** Single passages, such as a classifier takes. */
export function passages(texts: readonly (readonly number[])[], length: number): Sequences {
  const batch = sequences(texts.length, length);
  for (const [row, text] of texts.entries()) place(batch, length, row, text, []);
  return batch;
}

/** Batches of pretraining: pairs of passages with masked words, drawn from documents of tokenized sentences. */
export interface PretrainBatch extends Sequences {
  readonly maskedLmPositions: Int32Array<ArrayBuffer>;
  readonly maskedLmIds: Int32Array<ArrayBuffer>;
  readonly maskedLmWeights: Float32Array<ArrayBuffer>;
  /** 0 where the second passage follows the first. */
  readonly nextSentenceLabels: Int32Array<ArrayBuffer>;
}

export interface PretrainShape {
  readonly rows: number;
  readonly length: number;
  /** Most masked words of a row; about 15 % of its words are masked. */
  readonly predictions: number;
  readonly vocabulary: number;
}

type Document = readonly (readonly number[])[];

/** One batch. Half of the second passages follow the first, the others come from another document. */
export function pretrainBatch(documents: readonly Document[], shape: PretrainShape, draw: () => number): PretrainBatch {
  const { rows, length, predictions } = shape;
  const batch = {
    ...sequences(rows, length),
    maskedLmPositions: new Int32Array(rows * predictions),
    maskedLmIds: new Int32Array(rows * predictions),
    maskedLmWeights: new Float32Array(rows * predictions),
    nextSentenceLabels: new Int32Array(rows),
  };
  for (let row = 0; row < rows; row++) {
    const own = below(draw, documents.length);
    const document = documents[own]!;
    const start = below(draw, document.length - 1);
    const first = gathered(document, start, start + 1 + below(draw, document.length - 1 - start), length / 2);
    const elsewhere = draw() < 0.5 && documents.length > 1;
    const other = documents[(own + 1 + below(draw, documents.length - 1)) % documents.length]!;
    const second = elsewhere
      ? gathered(other, below(draw, other.length), other.length, length)
      : gathered(document, start + first.sentences, document.length, length);
    batch.nextSentenceLabels[row] = elsewhere ? 1 : 0;
    place(batch, length, row, first.tokens, second.tokens);
    maskWords(batch, shape, row, draw);
  }
  return batch;
}

/** The sentences from `start` to before `end`, until they have `enough` tokens. */
function gathered(
  document: Document,
  start: number,
  end: number,
  enough: number,
): { tokens: number[]; sentences: number } {
  const tokens = [...document[start]!];
  let sentences = 1;
  while (start + sentences < end && tokens.length < enough) tokens.push(...document[start + sentences++]!);
  return { tokens, sentences };
}

/** Replaces words of a row: 8 of 10 by `[MASK]`, one by any token, one by itself. */
function maskWords(
  batch: PretrainBatch,
  { length, predictions, vocabulary }: PretrainShape,
  row: number,
  draw: () => number,
): void {
  const words: number[] = [];
  for (let i = 0; i < length; i++) if (batch.inputIds[row * length + i]! > mask) words.push(i);
  const count = Math.min(predictions, Math.max(1, Math.round(words.length * 0.15)));
  const chosen = Array.from({ length: count }, () => words.splice(below(draw, words.length), 1)[0]!);
  for (const [n, position] of chosen.sort((a, b) => a - b).entries()) {
    const [at, slot] = [row * length + position, row * predictions + n];
    batch.maskedLmPositions[slot] = position;
    batch.maskedLmIds[slot] = batch.inputIds[at]!;
    batch.maskedLmWeights[slot] = 1;
    const kind = draw();
    if (kind < 0.8) batch.inputIds[at] = mask;
    else if (kind < 0.9) batch.inputIds[at] = mask + 1 + below(draw, vocabulary - mask - 1);
  }
}
