import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EngineSession } from "#src/engines/engine.js";
import { onnx } from "#src/engines/onnx/engine.js";
import { reference } from "#src/engines/reference/engine.js";
import { tensorflow } from "#src/engines/tensorflow/engine.js";
import { isReady } from "../engines/ready.js";
import { evaluate, numbers, tensorOf, withGradients } from "../ops/harness.js";
import { scratch } from "./support.js";

// Halves by hand: 11 bits of precision, spacing 2^-10 in [1, 2), the largest 65504, the smallest 2^-24.
const half = (values: readonly number[]) => tensorOf("float16", [values.length], values);
const ulp = 2 ** -10;

describe.each([reference, onnx, ...(isReady("tensorflow") ? [tensorflow] : [])])("float16, $name", (engine) => {
  let session: EngineSession;
  beforeAll(async () => {
    session = await engine.open({});
  });
  afterAll(() => session.close());

  test("casts round to even and overflow to infinity, and widen exactly", async () => {
    const x = tensorOf(
      "float32",
      [8],
      [1 + ulp / 2, 1 + 1.5 * ulp, 65519, 65520, 2 ** -25, 1.5 * 2 ** -25, -0.1, Infinity],
    );
    const rounded = [1, 1 + 2 * ulp, 65504, Infinity, 0, 2 ** -24, -0.0999755859375, Infinity];
    const [y, back] = await evaluate(engine, session, [x], (a) => {
      const small = flow.cast(a!, "float16");
      return [small, flow.cast(small, "float32")];
    });
    expect([y!.dtype, numbers(y!)]).toEqual(["float16", rounded]);
    expect([back!.dtype, numbers(back!)]).toEqual(["float32", rounded]);
  });

  test("casts to and from every dtype", async () => {
    const x = half([-2.5, 0, 3.75, 100]);
    for (const [dtype, expected] of [
      ["float64", [-2.5, 0, 3.75, 100]],
      ["int8", [-2, 0, 3, 100]],
      ["int32", [-2, 0, 3, 100]],
      ["int64", [-2, 0, 3, 100]],
    ] as const) {
      const [y, back] = await evaluate(engine, session, [x], (a) => {
        const other = flow.cast(a!, dtype);
        return [other, flow.cast(other, "float16")];
      });
      expect([y!.dtype, numbers(y!).map((v) => v + 0)]).toEqual([dtype, expected]);
      expect([back!.dtype, numbers(back!).map((v) => v + 0)]).toEqual(["float16", expected]);
    }
    const [bytes] = await evaluate(engine, session, [half([0, 3.75, 255])], (a) => [flow.cast(a!, "uint8")]);
    expect(numbers(bytes!)).toEqual([0, 3, 255]);
  });

  test("an op computes in float32 and rounds its result, each op by itself", async () => {
    // 2048 + 1 is no half: it rounds to 2048, twice; summed at once it is 2050.
    const [twice, once, product] = await evaluate(engine, session, [half([2048]), half([1])], (a, b) => [
      a!.add(b!).add(b!),
      flow.math.reduceSum(flow.concat([a!, b!, b!])),
      a!.mul(a!),
    ]);
    expect([twice, once, product].map((t) => [t!.dtype, numbers(t!)])).toEqual([
      ["float16", [2048]],
      ["float16", [2050]],
      ["float16", [Infinity]],
    ]);
  });

  test("moves, comparisons, convolution and gradients keep the dtype", async () => {
    const x = tensorOf("float16", [1, 1, 2, 2], [1, 2, 3, 4]);
    const w = tensorOf("float16", [1, 1, 1, 2], [1, 10]);
    const dy = tensorOf("float16", [1, 1, 2, 1], [1, 2]);
    const [y, dx, dw] = await evaluate(
      engine,
      session,
      [x, w, dy],
      withGradients((a, b) => flow.nn.conv2d(a!, b!, 1, "VALID")),
    );
    expect([y, dx, dw].map((t) => [t!.dtype, numbers(t!)])).toEqual([
      ["float16", [21, 43]],
      ["float16", [1, 10, 2, 20]],
      ["float16", [7, 10]],
    ]);
    const [turned, larger, chosen, filled] = await evaluate(engine, session, [half([3, 1, 2])], (a) => [
      flow.reverse(a!, 0),
      flow.math.greater(a!, 1.5),
      flow.where(flow.math.greater(a!, 1.5), a!, 0),
      flow.constant(0.1, { dtype: "float16", shape: [1] }),
    ]);
    expect([turned!.dtype, numbers(turned!)]).toEqual(["float16", [2, 1, 3]]);
    expect([larger!.dtype, numbers(larger!)]).toEqual(["int8", [1, 0, 1]]);
    expect([chosen!.dtype, numbers(chosen!)]).toEqual(["float16", [3, 0, 2]]);
    expect(numbers(filled!)).toEqual([0.0999755859375]);
  });
});

test("a float16 model: fed values are rounded, variables take two bytes in a checkpoint, training goes on after load", async () => {
  const x = tp.Numpy.Placeholder([2, 2], { dtype: flow.float16 });
  const model = (input: flow.Blob): flow.Blob =>
    flow.layers.dense(input, 1, { name: "dense", kernelInitializer: flow.constantInitializer(0.1) });
  const train = flow.globalFunction({ type: "train", name: "train", returns: tp.Numpy }, [x], (input) => {
    const loss = flow.math.square(model(input).sub(1));
    const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.125]);
    new flow.optimizer.SGD(rate, { momentum: 0, lossScaleFactor: 8 }).minimize(loss);
    return loss;
  });
  const echo = flow.globalFunction({ name: "echo", returns: tp.Numpy }, [x], (input) => input);
  const checkPoint = new flow.train.CheckPoint();
  await checkPoint.init();
  const fed = new Float32Array([0.1, 1 / 3, 1e-9, 70000]);
  const echoed = await echo(fed);
  expect([echoed.dtype, [...echoed.data]]).toEqual(["float16", [0.0999755859375, 0.333251953125, 0, Infinity]]);
  const data = [
    [1, 2],
    [2, 1],
  ];
  const losses = [];
  for (let i = 0; i < 6; i++) losses.push((await train(data)).mean());
  expect(losses[0]).toBeCloseTo(0.49, 2);
  expect(losses.at(-1)).toBeLessThan(0.01 * losses[0]!);
  const folder = join(scratch(), "model");
  await checkPoint.save(folder);
  expect(readFileSync(join(folder, "dense-weight", "out")).length).toBe(4);
  const weight = await flow.experimental.getInterfaceBlobValue("dense-weight");
  expect([weight.shape, weight.dtype]).toEqual([[1, 2], "float16"]);
  const next = await train(data);
  await checkPoint.load(folder);
  expect([...(await train(data)).data]).toEqual([...next.data]);
});

test("batch normalization of float16 has float32 variables, as documented", async () => {
  const x = tp.Numpy.Placeholder([4, 2], { dtype: flow.float16 });
  const job = flow.globalFunction({ type: "train", name: "norm", returns: tp.Numpy }, [x], (input) => {
    const y = flow.layers.batchNormalization(input, { name: "bn" });
    for (const part of ["beta", "gamma", "moving_mean", "moving_variance"])
      expect(flow.getVariable(`bn-${part}`).dtype).toBe("float32");
    const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0]);
    new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(flow.math.reduceSum(y));
    return y;
  });
  await new flow.train.CheckPoint().init();
  const y = await job([
    [1, 0],
    [-1, 0],
    [1, 4],
    [-1, 4],
  ]);
  expect(y.dtype).toBe("float16");
  for (const [i, value] of [1, -1, -1, -1, 1, 1, -1, 1].entries())
    expect(Math.abs(Number(y.data[i]) - value)).toBeLessThan(1e-3);
});
