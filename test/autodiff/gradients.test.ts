import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { failure } from "../jobs/support.js";

const { math, nn } = flow;
const engines = ["onnx", "reference"] as const;
const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
/** Distinct values between -1 and 1. */
const wave = (count: number, phase: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (i + 1) + phase * 4.1414));
const constant = (value: number, shape: readonly number[], dtype: flow.DType = "float64"): flow.Blob =>
  flow.constant(value, { dtype, shape });
const labels = (count: number): flow.Blob =>
  flow.cast(
    flow.reshape(flow.concat(Array.from({ length: count }, (_, i) => constant(i % 3, [1], "int32"))), [count]),
    "int32",
  );

interface Case {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly call: (...inputs: flow.Blob[]) => flow.Blob;
}

// Each is not linear in its inputs, so that second derivatives are not all 0.
const cases: readonly Case[] = [
  {
    name: "conv2d",
    shapes: [
      [2, 2, 4, 4],
      [3, 2, 3, 3],
    ],
    call: (x, w) => nn.conv2d(x, w, 1, "SAME"),
  },
  {
    name: "conv2d, strides and groups",
    shapes: [
      [1, 4, 5, 5],
      [4, 2, 2, 2],
    ],
    call: (x, w) => nn.conv2d(x, w, 2, "VALID", { groups: 2 }),
  },
  {
    name: "conv2d, tanh, conv2d",
    shapes: [
      [1, 1, 4, 4],
      [2, 1, 2, 2],
      [1, 2, 2, 2],
    ],
    call: (x, w, v) => nn.conv2d(math.tanh(nn.conv2d(x, w, 1, "SAME")), v, 1, "VALID"),
  },
  {
    name: "conv2dTranspose",
    shapes: [
      [1, 2, 2, 2],
      [2, 1, 2, 2],
    ],
    call: (x, w) => nn.conv2dTranspose(x, w, [1, 1, 4, 4], { strides: 2 }),
  },
  {
    name: "a dense layer's parts",
    shapes: [[3, 4], [5, 4], [5]],
    call: (x, w, b) => math.tanh(nn.biasAdd(flow.matmul(x, w, { transposeB: true }), b)),
  },
  {
    name: "sparse softmax cross entropy",
    shapes: [[4, 3]],
    call: (x) => nn.sparseSoftmaxCrossEntropyWithLogits(labels(4), x),
  },
  {
    name: "softmax cross entropy",
    shapes: [
      [4, 3],
      [4, 3],
    ],
    call: (x, y) => nn.softmaxCrossEntropyWithLogits(nn.softmax(y), x),
  },
  {
    name: "sigmoid cross entropy",
    shapes: [[4], [4]],
    call: (x, y) => nn.sigmoidCrossEntropyWithLogits(math.sigmoid(y), x),
  },
  { name: "maxPool2d", shapes: [[1, 2, 4, 4]], call: (x) => nn.maxPool2d(math.exp(x), 2, 2, "VALID") },
  { name: "maxPool2d, overlapping", shapes: [[1, 1, 5, 5]], call: (x) => math.square(nn.maxPool2d(x, 3, 1, "SAME")) },
  { name: "avgPool2d", shapes: [[1, 1, 4, 4]], call: (x) => math.exp(nn.avgPool2d(x, 3, 1, "SAME")) },
  { name: "softplus", shapes: [[6]], call: (x) => math.softplus(x.mul(3)) },
  { name: "leakyRelu", shapes: [[6]], call: (x) => nn.leakyRelu(math.square(x).sub(0.3), { alpha: 0.1 }) },
  { name: "relu", shapes: [[6]], call: (x) => nn.relu(x.mul(x).sub(0.3)) },
  { name: "gelu", shapes: [[6]], call: (x) => math.gelu(x) },
  { name: "logSigmoid", shapes: [[6]], call: (x) => math.logSigmoid(x) },
  { name: "logSoftmax", shapes: [[2, 4]], call: (x) => nn.logSoftmax(x) },
  { name: "softmax", shapes: [[2, 4]], call: (x) => math.square(nn.softmax(x)) },
  { name: "reduceLogsumexp", shapes: [[2, 4]], call: (x) => math.reduceLogsumexp(x, { axis: 1 }) },
  { name: "reduceStd", shapes: [[2, 4]], call: (x) => math.reduceStd(x, { axis: 1 }) },
  { name: "reduceProd", shapes: [[2, 3]], call: (x) => math.reduceProd(x.add(2), { axis: 1 }) },
  { name: "pow and div", shapes: [[5], [5]], call: (x, y) => math.pow(x.add(2), y).div(y.add(3)) },
  { name: "erf and lgamma", shapes: [[5]], call: (x) => math.erf(x).mul(math.lgamma(x.add(3))) },
  { name: "atan2", shapes: [[5], [5]], call: (x, y) => math.atan2(x, y.add(2)) },
  {
    name: "batch normalization",
    shapes: [[4, 3], [3], [3]],
    call: (x, scale, offset) => {
      const [mean, variance] = nn.moments(x, [0]);
      return math.tanh(nn.batchNormalization(x, mean, variance, { axis: 1, scale, offset, varianceEpsilon: 0.01 }));
    },
  },
  {
    name: "layer norm",
    shapes: [[3, 4], [4], [4]],
    call: (x, gamma, beta) => math.tanh(nn.layerNorm(x, { gamma, beta, epsilon: 0.01 })),
  },
  { name: "l2Normalize", shapes: [[2, 3]], call: (x) => math.l2Normalize(x, { axis: 1 }) },
  {
    name: "slices, pads, concat, gather",
    shapes: [[3, 4]],
    call: (x) => {
      const part = flow.pad(
        flow.sliceV2(math.exp(x), [
          [null, null, -1],
          [0, 4, 2],
        ]),
        [
          [0, 0],
          [1, 0],
        ],
      );
      return flow.concat([part, flow.gather(x.mul(x), constant(1, [2], "int32"), { axis: 1 })], { axis: 1 });
    },
  },
  { name: "smoothL1Loss", shapes: [[6], [6]], call: (x, y) => flow.smoothL1Loss(x.mul(2), y) },
];

test.each(cases)("gradients of gradients: $name, against finite differences in float64", async ({ shapes, call }) => {
  flow.config.engine("reference");
  const job = flow.globalFunction(
    { name: "job", returns: tp.Bundle(tp.Numpy) },
    shapes.map((shape) => tp.Numpy.Placeholder(shape, { dtype: flow.double })),
    (...inputs) => {
      const y = call(...inputs);
      const first = flow.gradients(y.mul(1.5), inputs);
      const score = first.map((g) => math.reduceSum(math.sin(g).add(g.mul(g)))).reduce((a, b) => a.add(b));
      const ofOutput = math.reduceSum(y.mul(1.5));
      return [ofOutput, score, first, flow.gradients(score, inputs, { unconnectedGradients: "zero" })] as const;
    },
  );
  const at = shapes.map((shape, i) => wave(size(shape), i));
  const direction = shapes.map((shape, i) => wave(size(shape), 7 + i));
  const moved = (by: number): Float64Array[] =>
    at.map((values, i) => Float64Array.from(values, (v, j) => v + by * direction[i]![j]!));
  const along = (gradients: readonly flow.NdArray[]): number =>
    gradients.reduce(
      (sum, g, i) => sum + (g.data as Float64Array).reduce((s, v, j) => s + v * direction[i]![j]!, 0),
      0,
    );
  const run = job as unknown as (
    ...feeds: readonly Float64Array[]
  ) => Promise<readonly [flow.NdArray, flow.NdArray, readonly flow.NdArray[], readonly flow.NdArray[]]>;
  const [, , first, second] = await run(...moved(0));
  const eps = 1e-5;
  const [up, down] = [await run(...moved(eps)), await run(...moved(-eps))];
  const close = (got: number, expected: number): void =>
    expect(Math.abs(got - expected)).toBeLessThan(1e-6 * Math.max(1, Math.abs(expected)));
  close(along(first), (up[0].item() - down[0].item()) / (2 * eps));
  close(along(second), (up[1].item() - down[1].item()) / (2 * eps));
  expect(Math.abs(along(second))).toBeGreaterThan(1e-4);
});

test.each(engines)("third derivatives: x^5 gives 60 x^2 (%s)", async (engine) => {
  flow.config.engine(engine);
  const job = flow.globalFunction({ name: "job", returns: tp.Numpy }, [tp.Numpy.Placeholder([3])], (x) => {
    const y = x.mul(x).mul(x).mul(x).mul(x);
    return flow.gradients(flow.gradients(flow.gradients(y, x), x), x);
  });
  expect((await job([1, -2, 0])).toArray()).toEqual([60, 240, 0]);
});

test.each(engines)("one x gives a blob, a list a list; ys are summed (%s)", async (engine) => {
  flow.config.engine(engine);
  const job = flow.globalFunction(
    { name: "job", returns: [tp.Numpy, tp.Numpy, tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([2]), tp.Numpy.Placeholder([2])],
    (x, y) => {
      const [dx, dy] = flow.gradients([x.mul(y), x.mul(3)], [x, y]);
      return [flow.gradients(x.mul(x), x), dx, dy, flow.gradients(x, x)];
    },
  );
  const values = (await job([1, 2], [5, 7])).map((value) => value.toArray());
  expect(values).toEqual([
    [2, 4],
    [8, 10],
    [1, 2],
    [1, 1],
  ]);
});

test.each(engines)("gradYs weigh the ys (%s)", async (engine) => {
  flow.config.engine(engine);
  const job = flow.globalFunction(
    { name: "job", returns: [tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([2]), tp.Numpy.Placeholder([2])],
    (x, weights) => [
      flow.gradients(x.mul(x), x, { gradYs: weights }),
      flow.gradients([x.mul(x), x], x, { gradYs: [weights, weights.mul(10)] }),
    ],
  );
  expect((await job([1, 2], [3, -1])).map((value) => value.toArray())).toEqual([
    [6, -4],
    [36, -14],
  ]);
});

test.each(engines)("where no y depends on x: an error that names it, or zeros (%s)", async (engine) => {
  flow.config.engine(engine);
  const job = flow.globalFunction(
    { name: "zeros", returns: [tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([2]), tp.Numpy.Placeholder([3], { dtype: flow.double })],
    (x, y) => flow.gradients(x.mul(x), [x, y], { unconnectedGradients: "zero" }),
  );
  const [dx, dy] = await job([1, 2], [1, 2, 3]);
  expect(dx.toArray()).toEqual([2, 4]);
  expect([dy.dtype, dy.toArray()]).toEqual(["float64", [0, 0, 0]]);
});

test("errors", async () => {
  const refused = (fn: (x: flow.Blob, n: flow.Blob) => unknown): Promise<flow.FlowError> =>
    failure(async () => {
      const job = (flow.globalFunction as (...args: unknown[]) => (...feeds: unknown[]) => Promise<unknown>)(
        { name: "wrong" },
        [tp.Numpy.Placeholder([2]), tp.Numpy.Placeholder([2], { dtype: flow.int32 })],
        fn,
      );
      try {
        await job([1, 2], [1, 2]);
      } finally {
        await flow.clearDefaultSession();
      }
    });
  const rows: readonly [(x: flow.Blob, n: flow.Blob) => unknown, string, RegExp][] = [
    [
      (x, n) => flow.gradients(flow.cast(n, "float32"), x),
      "E_GRADIENT",
      /no y depends on x 0 \('argument 0', float32\[2\]\); .*unconnectedGradients: "zero"/,
    ],
    [(x, n) => flow.gradients(x, [x, n]), "E_DTYPE", /xs\[1\] is int32\[2\]/],
    [(x, n) => flow.gradients(n, x), "E_DTYPE", /ys\[0\] is int32\[2\]/],
    [(x) => flow.gradients(x, []), "E_ARGUMENT", /xs is an empty array/],
    [(x) => flow.gradients([], x), "E_ARGUMENT", /ys is an empty array/],
    [(x) => flow.gradients(x, "w" as never), "E_ARGUMENT", /xs is the string 'w', expected a list/],
    [
      (x) => flow.gradients(x, x, { gradYs: flow.concat([x, x]) }),
      "E_SHAPE",
      /gradYs 0 is float32\[4\], expected float32\[2\]/,
    ],
    [
      (x) => flow.gradients(x, x, { gradYs: flow.cast(x, "float64") }),
      "E_SHAPE",
      /gradYs 0 is float64\[2\], expected float32\[2\]/,
    ],
    [(x) => flow.gradients([x, x], x, { gradYs: x }), "E_ARGUMENT", /got 1 gradYs for 2 ys/],
    [(x) => flow.gradients(x, x, { gradY: x } as object), "E_OPTION", /did you mean 'gradYs'\?/],
    [
      (x) => flow.gradients(x, x, { unconnectedGradients: "none" as never }),
      "E_ARGUMENT",
      /expected "error" or "zero"/,
    ],
    [(x) => flow.gradients(x.mul(math.floor(x)), flow.identity(x)), "E_GRADIENT", /no y depends on x 0/],
  ];
  for (const [fn, code, message] of rows) {
    const error = await refused(fn);
    expect(error.code, `${fn}: ${error.message}`).toBe(code);
    expect(error.message).toMatch(message);
  }
  expect((await failure(() => flow.gradients(null as never, null as never))).code).toBe("E_OUTSIDE_JOB");
});

test.each(engines)("a gradient penalty: one step by hand (%s)", async (engine) => {
  flow.config.engine(engine);
  // f = w x², f' = 2 w x; loss = f + f'² = w x² + 4 w² x²; its slope at w is x² + 8 w x², averaged over the rows.
  const job = flow.globalFunction(
    { type: "train", name: "job", returns: [tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([2])],
    (x) => {
      const w = flow.getVariable("w", { shape: [1], initializer: flow.constantInitializer(0.5) });
      const f = math.square(x).mul(w);
      const loss = f.add(math.square(flow.gradients(f, x)));
      const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.01]);
      new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(loss);
      return [loss, w];
    },
  );
  await new flow.train.CheckPoint().init();
  const [loss] = await job([1, 3]);
  expect(loss.toArray()).toEqual([0.5 + 1, 4.5 + 9]);
  const [, w] = await job([1, 3]);
  expect(w.item()).toBeCloseTo(0.5 - 0.01 * ((1 * (1 + 4) + 9 * (1 + 4)) / 2), 6);
});

test("a gradient penalty brings a critic's slope to 1, and the engines agree on the way", async () => {
  const runs: number[][] = [];
  for (const engine of engines) {
    flow.config.engine(engine);
    flow.config.seed(3);
    const job = flow.globalFunction(
      { type: "train", name: "critic", returns: [tp.Numpy, tp.Numpy] },
      [tp.Numpy.Placeholder([8, 1, 4, 4])],
      (x) => {
        const kernelInitializer = flow.randomNormalInitializer(0, 0.3);
        const conv = flow.layers.conv2d(x, 4, 3, {
          padding: "SAME",
          activation: math.softplus,
          kernelInitializer,
          name: "conv",
        });
        const normal = flow.layers.layerNorm(nn.leakyRelu(conv, { alpha: 0.3 }), { name: "norm" });
        const pooled = nn.maxPool2d(normal, 2, 2, "VALID");
        const score = flow.layers.dense(flow.reshape(pooled, [8, -1]), 1, { kernelInitializer, name: "score" });
        const slope = flow.gradients(score, x);
        const norm = math.sqrt(math.reduceSum(math.square(slope), { axis: [1, 2, 3] }).add(1e-6));
        const loss = math.square(norm.sub(1));
        new flow.optimizer.Adam(new flow.optimizer.PiecewiseConstantScheduler([], [0.02]), { epsilon: 1e-4 }).minimize(
          loss,
        );
        return [loss, norm];
      },
    );
    await new flow.train.CheckPoint().init();
    const losses: number[] = [];
    for (let i = 0; i < 40; i++) losses.push((await job(new Float32Array(wave(8 * 16, i % 4))))[0].mean());
    runs.push(losses);
    await flow.clearDefaultSession();
  }
  const [onnx, reference] = runs as [number[], number[]];
  for (let i = 0; i < 5; i++)
    expect(Math.abs(onnx[i]! - reference[i]!)).toBeLessThan(1e-4 * Math.max(1, reference[i]!));
  for (const losses of runs) expect(losses.at(-1)!).toBeLessThan(0.2 * losses[0]!);
});
