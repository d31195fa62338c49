import * as flow from "onestep";
import { expect, test } from "vitest";
import { streamOf } from "#src/core/rng.js";
import { building, currentBuilder, GraphBuilder } from "#src/graph/trace.js";
import { sample } from "#src/initializers/initializer.js";
import { operators } from "#src/ops/operators.js";
import { JobVariables, VariableRegistry, withVariables } from "#src/variables/registry.js";

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

/** n = 200 · 250 draws: a mean lies within 5 standard errors and a deviation within 5 of its own (n - 1)^-½/√2, so that a right
 * sampler fails once in a million seeds. */
const drawn = async (initializer: flow.Initializer, shape: readonly number[]): Promise<readonly number[]> =>
  Array.from((await sample(initializer, stream, shape, "float64")).data);
const near = (numbers: readonly number[], stddev: number): void => {
  const [mean, deviation] = moments(numbers);
  expect(Math.abs(mean)).toBeLessThan((5 * stddev) / Math.sqrt(numbers.length));
  expect(Math.abs(deviation - stddev)).toBeLessThan((5 * stddev) / Math.sqrt(2 * numbers.length));
};

// Weight (out 60, in 40, kernel 3 x 5) in both layouts, and the dense weight (200, 250).
const fans = [
  { shape: [200, 250], dataFormat: "", fanIn: 250, fanOut: 200 },
  { shape: [200, 250], dataFormat: "NCHW", fanIn: 250, fanOut: 200 },
  { shape: [60, 40, 3, 5], dataFormat: "NCHW", fanIn: 600, fanOut: 900 },
  { shape: [60, 3, 5, 40], dataFormat: "NHWC", fanIn: 600, fanOut: 900 },
] as const;

test.each(fans)(
  "fans of $shape in '$dataFormat': every mode and distribution",
  async ({ shape, dataFormat, fanIn, fanOut }) => {
    for (const [mode, fan] of [
      ["fan_in", fanIn],
      ["fan_out", fanOut],
      ["FAN_AVG", (fanIn + fanOut) / 2],
    ] as const) {
      const stddev = Math.sqrt(2 / fan);
      const of = (distribution: string) =>
        drawn(flow.varianceScalingInitializer({ scale: 2, mode, distribution, dataFormat }), shape);
      const uniform = await of("random_uniform");
      const limit = Math.sqrt(6 / fan);
      expect(Math.max(...uniform.map(Math.abs))).toBeLessThanOrEqual(limit);
      expect(Math.max(...uniform.map(Math.abs))).toBeGreaterThan(0.999 * limit);
      near(uniform, stddev);
      const normal = await of("random_normal");
      near(normal, stddev);
      expect(Math.max(...normal.map(Math.abs))).toBeGreaterThan(3.5 * stddev);
      // Cut at two deviations of the wider normal, whose deviation after the cut is the wanted one.
      const cut = await of("Truncated_Normal");
      near(cut, stddev);
      expect(Math.max(...cut.map(Math.abs))).toBeLessThan((2 * stddev) / 0.87962566);
      expect(Math.max(...cut.map(Math.abs))).toBeGreaterThan((1.99 * stddev) / 0.87962566);
    }
    const limit = Math.sqrt(6 / (fanIn + fanOut));
    near(await drawn(flow.xavierUniformInitializer({ dataFormat }), shape), limit / Math.sqrt(3));
    const normal = await drawn(flow.glorotNormalInitializer({ dataFormat }), shape);
    near(normal, Math.sqrt(2 / (fanIn + fanOut)));
    expect(Math.max(...normal.map(Math.abs))).toBeGreaterThan(3.5 * Math.sqrt(2 / (fanIn + fanOut)));
  },
);

test("kaiming: gains, modes, layouts, from the shape given", async () => {
  const kaiming = flow.kaimingInitializer;
  const stddevOf = (initializer: flow.Initializer): number => (initializer as { stddev: number }).stddev;
  expect(kaiming([200, 250])).toEqual({ kind: "normal", mean: 0, stddev: Math.SQRT2 / Math.sqrt(250) });
  expect(stddevOf(kaiming([60, 40, 3, 5]))).toBeCloseTo(Math.SQRT2 / Math.sqrt(600), 12);
  expect(stddevOf(kaiming([60, 40, 3, 5], { mode: "fan_out" }))).toBeCloseTo(Math.SQRT2 / 30, 12);
  expect(stddevOf(kaiming([60, 3, 5, 40], { mode: "fan_out", dataFormat: "NHWC" }))).toBeCloseTo(Math.SQRT2 / 30, 12);
  expect(stddevOf(kaiming([4, 16], { nonlinearity: "tanh" }))).toBeCloseTo(5 / 12, 12);
  expect(stddevOf(kaiming([4, 16], { nonlinearity: null }))).toBe(0.25);
  expect(stddevOf(kaiming([4, 16], { nonlinearity: "sigmoid" }))).toBe(0.25);
  expect(stddevOf(kaiming([4, 16], { negativeSlope: 1 }))).toBe(0.25);
  const uniform = kaiming([4, 16], { distribution: "random_uniform", nonlinearity: null }) as { max: number };
  expect(uniform.max).toBeCloseTo(Math.sqrt(3) / 4, 12);
  near(await drawn(kaiming([4, 16], { nonlinearity: null }), [200, 250]), 0.25);
});

test("fans that a shape does not have", () => {
  const job = (initializer: flow.Initializer, shape: number[]) => () =>
    building(new GraphBuilder({ job: "j", training: false, operators }), () => {
      const builder = currentBuilder("test");
      return withVariables(new JobVariables(new VariableRegistry(), builder), () =>
        flow.getVariable("w", { shape, initializer }),
      );
    });
  expect(job(flow.xavierUniformInitializer(), [3, 4])).not.toThrow();
  expect(job(flow.xavierUniformInitializer(), [3, 4, 5, 5])).toThrow(/pass it { dataFormat: 'NCHW' }/);
  expect(job(flow.varianceScalingInitializer(), [3])).toThrow(/a rank of at least 2 is needed/);
  expect(() => flow.varianceScalingInitializer({ mode: "fan" })).toThrow(/mode is 'fan', expected fan_in, fan_out/);
  expect(() => flow.varianceScalingInitializer({ distribution: "x" })).toThrow(/expected truncated_normal/);
  expect(() => flow.varianceScalingInitializer({ scale: 0 })).toThrow(/scale is 0/);
  expect(() => flow.glorotUniformInitializer({ dataFormat: "CHW" })).toThrow(/dataFormat is 'CHW'/);
  expect(() => flow.kaimingInitializer([3])).toThrow(/a rank of at least 2/);
  expect(() => flow.kaimingInitializer([3, 0])).toThrow(/expected positive integers/);
  expect(() => flow.kaimingInitializer([3, 4], { nonlinearity: "gelu" })).toThrow(/nonlinearity is 'gelu'/);
});

test("the same seed gives the same bytes on each engine", async () => {
  const bytes: Uint8Array[] = [];
  for (const engine of ["onnx", "reference"] as const) {
    await flow.clearDefaultSession();
    flow.config.engine(engine);
    flow.config.seed(9);
    const job = flow.globalFunction({ name: "values", returns: flow.tp.Numpy }, [], () =>
      flow.concat(
        [
          flow.glorotUniformInitializer(),
          flow.glorotNormalInitializer(),
          flow.varianceScalingInitializer(),
          flow.kaimingInitializer([30, 20]),
          flow.truncatedNormal(0.1),
          flow.randomUniformInitializer(-1, 1),
        ].map((initializer, i) => flow.getVariable(`w${i}`, { shape: [30, 20], initializer })),
      ),
    );
    await new flow.train.CheckPoint().init();
    const { data } = await job();
    bytes.push(new Uint8Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)));
  }
  await flow.clearDefaultSession();
  flow.config.engine("onnx");
  expect(bytes[0]).toEqual(bytes[1]);
  expect(new Set(bytes[0]).size).toBeGreaterThan(100);
});
