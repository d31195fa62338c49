import { expect, test } from "vitest";
import { keepMask, Normals, Rng, streamOf, threefry } from "#src/core/rng.js";
import { fromHalf, toHalf } from "#src/core/tensor.js";

// Known answers of the Random123 distribution for threefry2x32 with 20 rounds.
test.each([
  [
    [0, 0],
    [0, 0],
    [0x6b200159, 0x99ba4efe],
  ],
  [
    [0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x1cb996fc, 0xbb002be7],
  ],
  [
    [0x243f6a88, 0x85a308d3],
    [0x13198a2e, 0x03707344],
    [0xc4923a9c, 0x483df7a0],
  ],
] as const)("threefry of counter %j under key %j is %j", ([c0, c1], [key0, key1], expected) => {
  const out = new Int32Array(2);
  threefry({ key0, key1 }, c0, c1, out);
  expect(Array.from(out, (word) => word >>> 0)).toEqual(expected);
});

test("uniforms and normals have their moments", () => {
  const rng = new Rng(streamOf(3, "moments"));
  const normals = new Normals(streamOf(3, "moments"));
  const n = 100_000;
  const moments = (draw: () => number): [number, number] => {
    const values = Array.from({ length: n }, draw);
    const mean = values.reduce((a, b) => a + b) / n;
    return [mean, values.reduce((a, b) => a + (b - mean) ** 2, 0) / n];
  };
  const [uniformMean, uniformVariance] = moments(() => rng.uniform());
  expect(Math.abs(uniformMean - 0.5)).toBeLessThan(0.005);
  expect(Math.abs(uniformVariance - 1 / 12)).toBeLessThan(0.002);
  const [normalMean, normalVariance] = moments(() => normals.next());
  expect(Math.abs(normalMean)).toBeLessThan(0.015);
  expect(Math.abs(normalVariance - 1)).toBeLessThan(0.02);
});

test("streams of other seeds, names and steps differ; equal ones are equal", () => {
  const first = (...args: Parameters<typeof streamOf>): number => new Rng(streamOf(...args)).uint32();
  expect(first(1, "a", 0)).toBe(first(1, "a", 0));
  expect(
    new Set([
      first(1, "a", 0),
      first(2, "a", 0),
      first(2 ** 32 + 1, "a", 0),
      first(1, "b", 0),
      first(1, "a", 1),
      first(1, "a0"),
    ]).size,
  ).toBe(6);
});

test("keepMask compares 16 bits a decision, low half first, at any length", () => {
  const rng = new Rng(streamOf(1, "mask"));
  const words = Array.from({ length: 6 }, () => rng.uint32());
  const bits = words.flatMap((word) => [word & 0xffff, word >>> 16]);
  for (const length of [0, 1, 2, 3, 4, 11]) {
    for (const rate of [0, 0.3, bits[1]! / 65536, 1]) {
      const mask = new Uint8Array(12).fill(7);
      keepMask(streamOf(1, "mask"), length, rate, mask);
      const expected = bits.map((u, i) => (i < length ? Number(u >= Math.round(rate * 65536)) : 7));
      expect([...mask]).toEqual(expected);
    }
  }
});

test("keepMask keeps where u >= rate", () => {
  const mask = new Uint8Array(100_001);
  keepMask(streamOf(1, "mask"), mask.length, 0.3, mask);
  expect(Math.abs(mask.reduce((a, b) => a + b, 0) / mask.length - 0.7)).toBeLessThan(0.006);
  keepMask(streamOf(1, "mask"), mask.length, 0, mask);
  expect(mask.every((bit) => bit === 1)).toBe(true);
});

test("half floats round to nearest even and back", () => {
  for (const [value, bits] of [
    [0, 0],
    [-0, 0x8000],
    [1, 0x3c00],
    [65504, 0x7bff],
    [65520, 0x7c00],
    [2 ** -24, 1],
    [2 ** -25, 0],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [Infinity, 0x7c00],
  ] as const)
    expect(toHalf(value)).toBe(bits);
  for (let bits = 0; bits < 0x7c00; bits++) expect(toHalf(fromHalf(bits))).toBe(bits);
  expect(Number.isNaN(fromHalf(toHalf(Number.NaN)))).toBe(true);
});
