import * as flow from "onestep";
import { expect, test } from "vitest";
import { streamOf } from "#src/core/rng.js";
import { sample } from "#src/initializers/initializer.js";

const stream = streamOf(5, "init", "w");
const values = async (initializer: flow.Initializer, dtype: flow.DType = "float32"): Promise<number[]> =>
  Array.from((await sample(initializer, stream, [200, 250], dtype)).data as Float32Array, Number);
const moments = (numbers: readonly number[]): [number, number] => {
  const mean = numbers.reduce((a, b) => a + b) / numbers.length;
  return [mean, Math.sqrt(numbers.reduce((a, b) => a + (b - mean) ** 2, 0) / numbers.length)];
};

test("constants", async () => {
  expect(new Set(await values(flow.zerosInitializer()))).toEqual(new Set([0]));
  expect(new Set(await values(flow.onesInitializer()))).toEqual(new Set([1]));
  expect(new Set(await values(flow.constantInitializer(7, { dtype: "int64" }), "int64"))).toEqual(new Set([7]));
});

test("uniform: bounds and moments; 0 is a bound people pass", async () => {
  const numbers = await values(flow.randomUniformInitializer(0, 4));
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...numbers)).toBeLessThanOrEqual(4);
  const [mean, deviation] = moments(numbers);
  expect(mean).toBeCloseTo(2, 1);
  expect(deviation).toBeCloseTo(4 / Math.sqrt(12), 1);
  expect(new Set(await values(flow.randomUniformInitializer(-1, 2, { dtype: "int32" }), "int32"))).toEqual(
    new Set([-1, 0, 1, 2]),
  );
});

test("normal and truncated normal: mean, deviation (0.8796 of it when cut at 2), bounds", async () => {
  const [mean, deviation] = moments(await values(flow.randomNormalInitializer(3, 2)));
  expect(mean).toBeCloseTo(3, 1);
  expect(Math.abs(deviation - 2)).toBeLessThan(0.03);
  const cut = await values(flow.truncatedNormalInitializer(1, 0.5));
  expect(Math.max(...cut.map((v) => Math.abs(v - 1)))).toBeLessThan(1);
  expect(Math.abs(moments(cut)[1] - 0.5 * 0.87962566)).toBeLessThan(0.005);
  // truncatedNormal takes the standard deviation first, truncatedNormalInitializer the mean.
  expect(flow.truncatedNormal(0.1)).toEqual(flow.truncatedNormalInitializer(0, 0.1));
});

test("equal streams give equal bytes", async () => {
  const a = await sample(flow.truncatedNormal(0.1), stream, [40_000], "float32");
  expect((await sample(flow.truncatedNormal(0.1), stream, [40_000], "float32")).data).toEqual(a.data);
});

test("wrong arguments", () => {
  expect(() => flow.randomUniformInitializer(1, 0)).toThrow(/minval 1 is more than maxval 0/);
  expect(() => flow.randomNormalInitializer(0, 0)).toThrow(/stddev is 0, expected more than 0/);
  expect(() => flow.constantInitializer(0.5, { dtype: "int32" })).toThrow(/0.5 is no int32/);
});
