import * as flow from "onestep";
import { expect, test } from "vitest";

const array = new flow.NdArray(Float32Array.of(1, 5, 3, 4, 2, 6), [2, 3]);

test("reductions, views, iteration, nesting", () => {
  expect([array.mean(), array.sum(), array.argmax(), array.length, array.size]).toEqual([3.5, 21, 5, 2, 6]);
  expect(array.argmax(1).toArray()).toEqual([1, 2]);
  expect(array.argmax(0).toArray()).toEqual([1, 0, 1]);
  expect(array.toArray()).toEqual([
    [1, 5, 3],
    [4, 2, 6],
  ]);
  expect([...array].map((row) => row.toArray())).toEqual([
    [1, 5, 3],
    [4, 2, 6],
  ]);
  expect(array.at(-1).toArray()).toEqual([4, 2, 6]);
  expect(array.slice(1).shape).toEqual([1, 3]);
  expect(array.slice(0, 1).data.buffer).toBe(array.data.buffer);
  expect(String(array)).toBe("float32[2,3] [1, 5, 3, 4, 2, 6]");
});

test("int64 gives numbers, or an error beyond 2^53 - 1", () => {
  const exact = new flow.NdArray(BigInt64Array.of(5n, -7n), [2]);
  expect(exact.toArray()).toEqual([5, -7]);
  expect(exact.sum()).toBe(-2);
  const big = new flow.NdArray(BigInt64Array.of(2n ** 53n), [1]);
  expect(() => big.item()).toThrow(/2\^53/);
});

test("wrong shapes are errors", () => {
  expect(() => new flow.NdArray(new Float32Array(5), [2, 3])).toThrow(/5 elements do not fill the shape \[2,3\]/);
  expect(() => array.item()).toThrow(/has 6 elements, expected 1/);
  expect(() => array.at(2)).toThrow(/row 2 is outside/);
});
