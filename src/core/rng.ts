/**
 * Counter-based random numbers: a value depends on (stream, counter) alone, so any element of any step can be drawn in
 * any order, on any thread, and again after a resume. The generator is Threefry-2x32 with 20 rounds (Salmon et al.,
 * "Parallel random numbers: as easy as 1, 2, 3", 2011), which needs only 32-bit add, rotate and xor.
 */
export interface Stream {
  readonly key0: number;
  readonly key1: number;
}

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const PARITY = 0x1bd11bda;

/** One Threefry-2x32-20 block: writes two words (int32 bit patterns) to `out`. */
export function threefry(stream: Stream, counter0: number, counter1: number, out: Int32Array): void {
  const k0 = stream.key0 | 0;
  const k1 = stream.key1 | 0;
  const k2 = PARITY ^ k0 ^ k1;
  let x0 = (counter0 + k0) | 0;
  let x1 = (counter1 + k1) | 0;
  // Unrolled by groups of four rounds; the key schedule adds (k[i], k[i+1] + i) after each group.
  for (let group = 0; group < 5; group++) {
    const first = (group & 1) << 2;
    let r = ROTATIONS[first]!;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << r) | (x1 >>> (32 - r))) ^ x0;
    r = ROTATIONS[first + 1]!;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << r) | (x1 >>> (32 - r))) ^ x0;
    r = ROTATIONS[first + 2]!;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << r) | (x1 >>> (32 - r))) ^ x0;
    r = ROTATIONS[first + 3]!;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << r) | (x1 >>> (32 - r))) ^ x0;
    const next = group % 3;
    x0 = (x0 + (next === 0 ? k1 : next === 1 ? k2 : k0)) | 0;
    x1 = (x1 + (next === 0 ? k2 : next === 1 ? k0 : k1) + group + 1) | 0;
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

/** A reader of one stream from its start: uniforms, normals, integers. */
export class Rng {
  readonly #words = new Int32Array(2);
  #block = 0;
  #left = 0;
  #spare: number | undefined;
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
    return ((this.uint32() >>> 5) * 67108864 + (this.uint32() >>> 6)) / 9007199254740992;
  }

  /** Standard normal, by the Box-Muller transform (two of each pair are used). */
  normal(): number {
    if (this.#spare !== undefined) {
      const value = this.#spare;
      this.#spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
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

/**
 * `length` decisions as bytes: 1 where u >= rate, u uniform on [0, 1) with 16 random bits a decision (rates are
 * therefore exact to 2^-16).
 */
export function keepMask(stream: Stream, length: number, rate: number, out: Uint8Array): void {
  const threshold = Math.round(rate * 65536);
  const words = new Int32Array(2);
  for (let i = 0, block = 0; i < length; i += 4, block++) {
    threefry(stream, block, 0, words);
    const a = words[0]!;
    const b = words[1]!;
    out[i] = (a & 0xffff) >= threshold ? 1 : 0;
    if (i + 1 < length) out[i + 1] = a >>> 16 >= threshold ? 1 : 0;
    if (i + 2 < length) out[i + 2] = (b & 0xffff) >= threshold ? 1 : 0;
    if (i + 3 < length) out[i + 3] = b >>> 16 >= threshold ? 1 : 0;
  }
}
