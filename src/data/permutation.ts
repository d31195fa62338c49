import { Rng, type Stream, threefry } from "../core/rng.js";

// Up to here an array of all indices is cheap (1 MB, 5 ms), and every permutation is equally likely.
const SMALL = 2 ** 18;

/**
 * A permutation of 0 ... `length` - 1 that depends on `stream` alone, as a function of the index. Memory stays under 1 MB for
 * any length: beyond 262,144 an index is computed when asked for.
 */
export function permutation(stream: Stream, length: number): (index: number) => number {
  return length <= SMALL ? shuffledTable(stream, length) : feistel(stream, length);
}

/** Fisher and Yates's shuffle. */
export function shuffledTable(stream: Stream, length: number): (index: number) => number {
  const rng = new Rng(stream);
  const table = Uint32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = rng.integer(i + 1);
    const held = table[i]!;
    table[i] = table[j]!;
    table[j] = held;
  }
  return (index) => table[index]!;
}

/**
 * A Feistel network over the pairs (left, right) of the smallest square that holds `length`; what falls outside walks on along
 * its cycle until it is inside (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
 */
export function feistel(stream: Stream, length: number): (index: number) => number {
  const side = Math.ceil(Math.sqrt(length));
  const keys = new Int32Array(16);
  for (let i = 0; i < keys.length; i += 2) threefry(stream, i, 1, keys.subarray(i, i + 2));
  const step = (index: number): number => {
    let left = Math.floor(index / side);
    let right = index % side;
    for (const key of keys) {
      const next = (left + (mix(right, key) % side)) % side;
      left = right;
      right = next;
    }
    return left * side + right;
  };
  return (index) => {
    let at = step(index);
    while (at >= length) at = step(at);
    return at;
  };
}

/** 32 bits of a keyed hash (MurmurHash3's finaliser, keyed before each multiplication). */
function mix(value: number, key: number): number {
  let h = (value ^ key) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) + key;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
