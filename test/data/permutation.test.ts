import fc from "fast-check";
import { expect, test } from "vitest";
import { streamOf } from "#src/core/rng.js";
import { feistel, permutation, shuffledTable } from "#src/data/permutation.js";

test("both forms hit every index once, whatever the length", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3000 }), fc.nat(), (length, seed) => {
      for (const form of [shuffledTable, feistel]) {
        const at = form(streamOf(seed, "x"), length);
        const seen = new Set(Array.from({ length }, (_, i) => at(i)));
        expect(seen.size).toBe(length);
        expect(Math.max(...seen)).toBe(length - 1);
      }
    }),
    { numRuns: 60 },
  );
});

test("another stream, another order; the same stream, the same", () => {
  for (const length of [1000, 300_000, 2 ** 40]) {
    const order = (seed: number) => {
      const at = permutation(streamOf(seed, "x"), length);
      return Array.from({ length: 200 }, (_, i) => at(i));
    };
    expect(order(1)).toEqual(order(1));
    expect(order(1)).not.toEqual(order(2));
    expect(order(1).every((index) => Number.isInteger(index) && index >= 0 && index < length)).toBe(true);
    expect(new Set(order(1)).size).toBe(200);
  }
});

test("places are equally likely: chi-square of where index 0 and the last go, and of steps between neighbours", () => {
  const length = 16;
  const rounds = 4000;
  for (const form of [shuffledTable, feistel]) {
    const first = new Array<number>(length).fill(0);
    const last = new Array<number>(length).fill(0);
    const step = new Array<number>(length).fill(0);
    for (let seed = 0; seed < rounds; seed++) {
      const at = form(streamOf(seed, "chi"), length);
      first[at(0)]!++;
      last[at(length - 1)]!++;
      step[(at(5) - at(4) + length) % length]!++;
    }
    const chi = (counts: readonly number[], bins: number): number =>
      counts.reduce((sum, n) => sum + (n - rounds / bins) ** 2 / (rounds / bins), 0);
    // 15 degrees of freedom: above 44 once in 10,000; the seeds are fixed.
    expect(chi(first, length)).toBeLessThan(44);
    expect(chi(last, length)).toBeLessThan(44);
    expect(chi(step.slice(1), length - 1)).toBeLessThan(44);
  }
});
