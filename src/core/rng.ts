/**
 * Counter-based random numbers: a value depends on (stream, counter) alone, so any element of any step can be drawn in
 * any order, on any thread, and again after a resume. The generator is Threefry-2x32 with 20 rounds (Salmon et al.,
 * "Parallel random numbers: as easy as 1, 2, 3", 2011), which needs only 32-bit add, rotate and xor.
 */
export interface Stream {
  readonly key0: number;
  readonly key1: number;
}

const PARITY = 0x1bd11bda;

/** One Threefry-2x32-20 block: writes two words (int32 bit patterns) to `out`. */
export function threefry(stream: Stream, counter0: number, counter1: number, out: Int32Array): void {
  let k0 = stream.key0 | 0;
  let k1 = stream.key1 | 0;
  let k2 = PARITY ^ k0 ^ k1;
  let x0 = (counter0 + k0) | 0;
  let x1 = (counter1 + k1) | 0;
  // Groups of four rounds, whose rotations alternate; after group i the keys k[i] and k[i+1] + i are added.
  for (let group = 1; ; group += 2) {
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
    x0 = (x0 + k1) | 0;
    x1 = (x1 + k2 + group) | 0;
    if (group === 5) break;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 17) | (x1 >>> 15)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 29) | (x1 >>> 3)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 16) | (x1 >>> 16)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 24) | (x1 >>> 8)) ^ x0;
    x0 = (x0 + k2) | 0;
    x1 = (x1 + k0 + group + 1) | 0;
    const first = k0;
    k0 = k2;
    k2 = k1;
    k1 = first;
  }
  out[0] = x0;
  out[1] = x1;
}

/** A stream from a seed and a path of names and numbers; equal paths give equal streams, in every process. */
export function streamOf(seed: number, ...path: readonly (string | number)[]): Stream {
  let stream: Stream = { key0: seed | 0, key1: Math.floor(seed / 4294967296) | 0 };
  const words = new Int32Array(2);
  const bytes = new TextEncoder().encode(JSON.stringify(path));
  for (let i = 0; i < bytes.length; i += 4) {
    const word = bytes[i]! | ((bytes[i + 1] ?? 0) << 8) | ((bytes[i + 2] ?? 0) << 16) | ((bytes[i + 3] ?? 0) << 24);
    threefry(stream, word, i, words);
    stream = { key0: words[0]!, key1: words[1]! };
  }
  return stream;
}

/** A reader of one stream from its start: uniforms and integers. */
export class Rng {
  readonly #words = new Int32Array(2);
  #block = 0;
  #left = 0;
  constructor(readonly stream: Stream) {}

  /** 32 random bits, as an unsigned number. */
  uint32(): number {
    if (this.#left === 0) {
      threefry(this.stream, this.#block | 0, Math.floor(this.#block / 4294967296), this.#words);
      this.#block++;
      this.#left = 2;
    }
    return this.#words[2 - this.#left--]! >>> 0;
  }

  /** Uniform on [0, 1), 53 bits. */
  uniform(): number {
    return uniform(this.uint32(), this.uint32());
  }

  /** Uniform integer in [0, bound), without modulo bias, for bound up to 2^32. */
  integer(bound: number): number {
    const limit = 4294967296 - (4294967296 % bound);
    for (;;) {
      const value = this.uint32();
      if (value < limit) return value % bound;
    }
  }
}

/** A reader of one stream from its start: standard normals, by the Box-Muller transform (both of each pair are used). */
export class Normals {
  readonly #words = new Int32Array(2);
  readonly #drawn = new Float64Array(512);
  #block = 0;
  #next = 512;
  constructor(readonly stream: Stream) {}

  next(): number {
    if (this.#next === this.#drawn.length) this.#draw();
    return this.#drawn[this.#next++]!;
  }

  #draw(): void {
    const words = this.#words;
    const drawn = this.#drawn;
    let block = this.#block;
    const draw = (): number => {
      threefry(this.stream, block | 0, Math.floor(block / 4294967296), words);
      block++;
      return uniform(words[0]!, words[1]!);
    };
    for (let i = 0; i < drawn.length; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(1 - draw()));
      const angle = 2 * Math.PI * draw();
      drawn[i] = radius * Math.cos(angle);
      drawn[i + 1] = radius * Math.sin(angle);
    }
    this.#block = block;
    this.#next = 0;
  }
}

/** Uniform on [0, 1), 53 bits, of two words. */
const uniform = (high: number, low: number): number => ((high >>> 5) * 67108864 + (low >>> 6)) / 9007199254740992;

/**
 * `length` decisions as bytes: 1 where u >= rate, u uniform on [0, 1) with 16 random bits a decision (rates are
 * therefore exact to 2^-16).
 */
export function keepMask(stream: Stream, length: number, rate: number, out: Uint8Array): void {
  // The sign of `last - bits`, not a comparison: a branch that goes either way at random takes more than half of the time.
  const last = Math.round(rate * 65536) - 1;
  const words = new Int32Array(2);
  const whole = length - (length % 4);
  for (let i = 0; i < whole; i += 4) {
    threefry(stream, i / 4, 0, words);
    const a = words[0]!;
    const b = words[1]!;
    out[i] = (last - (a & 0xffff)) >>> 31;
    out[i + 1] = (last - (a >>> 16)) >>> 31;
    out[i + 2] = (last - (b & 0xffff)) >>> 31;
    out[i + 3] = (last - (b >>> 16)) >>> 31;
  }
  if (whole === length) return;
  threefry(stream, whole / 4, 0, words);
  for (let i = whole; i < length; i++)
    out[i] = (last - ((words[(i - whole) >> 1]! >>> (16 * (i & 1))) & 0xffff)) >>> 31;
}
