import * as flow from "onestep";
import { tp } from "onestep";
import { afterEach, describe, expect, test } from "vitest";
import { defaultSession } from "#src/job/session.js";
import { peakActivationBytes } from "#src/ops/cost.js";
import { isReady } from "../engines/ready.js";

afterEach(() => flow.clearDefaultSession());

type Around = (block: () => flow.Blob) => flow.Blob;
const kept: Around = (block) => block();
const recomputed: Around = (block) => flow.scope.recompute(block);

/** Blocks with what may go wrong the second time: random masks, statistics, variables, labels, results that leave in the middle. */
function net(around: Around) {
  return flow.globalFunction(
    { type: "train", name: "net", returns: [tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([4, 2, 6, 6]), tp.Numpy.Placeholder([4], { dtype: flow.int32 })],
    (images, labels) => {
      const kernelInitializer = flow.randomNormalInitializer(0, 0.3);
      let x = images;
      let middle = x;
      for (const [i, channels] of [4, 4, 4].entries()) {
        x = around(() => {
          const conv = flow.layers.conv2d(x, channels, 3, { padding: "SAME", name: `conv${i}`, kernelInitializer });
          const normed = flow.nn.relu(flow.layers.batchNormalization(conv, { axis: 1, name: `bn${i}` }));
          middle = flow.nn.dropout(normed, 0.2);
          return i === 0 ? flow.nn.maxPool2d(middle, 2, 2, "VALID") : x.add(flow.math.tanh(middle));
        });
      }
      let flat = flow.reshape(x, [4, -1]);
      const tied = flow.getVariable("tied", { shape: [36, 36], initializer: kernelInitializer });
      for (let i = 0; i < 3; i++) {
        flat = around(() => {
          const hidden = flow.layers.dense(flat, 36, {
            activation: flow.math.gelu,
            name: `dense${i}`,
            kernelInitializer,
          });
          return around(() => flow.math.tanh(flow.matmul(hidden, tied)).add(flat));
        });
      }
      const loss = around(() =>
        flow.nn.sparseSoftmaxCrossEntropyWithLogits(
          labels,
          flow.layers.dense(flat, 5, { name: "logits", kernelInitializer }),
        ),
      );
      const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.01]);
      new flow.optimizer.Adam(rate).minimize(loss);
      return [loss, middle];
    },
  );
}

/** Results of some steps, all variables after them, and how many nodes of an op the step has. */
async function trained(engine: string, around: Around, all = false) {
  await flow.clearDefaultSession();
  flow.config.engine(engine);
  flow.config.seed(5);
  flow.config.recompute(all);
  const job = net(around);
  await new flow.train.CheckPoint().init();
  const results: (readonly number[])[] = [];
  for (let step = 0; step < 4; step++) {
    const images = Float32Array.from({ length: 4 * 72 }, (_, k) => Math.sin(k * 1.7 + step));
    const values = await job(images, [0, 1, 2, 3 + (step % 2)]);
    results.push(...values.map(({ data }) => [...data].map(Number)));
  }
  const session = defaultSession();
  for (const { name } of session.registry.all()) results.push([...(await session.read(name)).data].map(Number));
  const { nodes } = session.job("net").latest.compiled.whole.native.graph;
  return { results, count: (op: string) => nodes.filter((node) => node.op === op).length };
}

describe.each(["onnx", "reference", "tensorflow"].filter(isReady))("%s", (engine) => {
  test("regions that are computed again give the same bits", async () => {
    const expected = await trained(engine, kept);
    const found = await trained(engine, recomputed);
    expect(expected.results.flat().every(Number.isFinite)).toBe(true);
    expect(found.results).toEqual(expected.results);
    expect(expected.count("later")).toBe(0);
    expect([found.count("conv"), found.count("tanh")]).toEqual([
      2 * expected.count("conv"),
      2 * expected.count("tanh"),
    ]);
  });
});

/** A residual net whose activations, [4, 8, 12, 12], are large enough not to be kept. */
async function residual(engine: string, all: boolean) {
  await flow.clearDefaultSession();
  flow.config.engine(engine);
  flow.config.seed(5);
  flow.config.recompute(all);
  const job = flow.globalFunction(
    { type: "train", name: "net", returns: [tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([4, 8, 12, 12])],
    (images) => {
      const kernelInitializer = flow.randomNormalInitializer(0, 0.1);
      let x = images;
      let middle = x;
      for (let i = 0; i < 6; i++) {
        const conv = flow.layers.conv2d(x, 8, 3, { padding: "SAME", name: `conv${i}`, kernelInitializer });
        middle = flow.nn.relu(flow.layers.batchNormalization(conv, { axis: 1, name: `bn${i}` }));
        const gated = flow.math.sigmoid(middle).mul(flow.math.gelu(middle));
        const dropped = flow.nn.dropout(gated, 0.3);
        x = flow.nn.relu(x.add(flow.layers.conv2d(dropped, 8, 1, { name: `wide${i}`, kernelInitializer })));
        // What leaves a region, and a region beside the setting.
        if (i === 1) x = flow.scope.recompute(() => flow.math.tanh(flow.math.square(x)));
      }
      const probabilities = flow.nn.softmax(flow.reshape(x, [4, -1]));
      const loss = flow.math.reduceMean(flow.math.square(probabilities));
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [1])).minimize(loss);
      return [loss, middle];
    },
  );
  await new flow.train.CheckPoint().init();
  const results: (readonly number[])[] = [];
  for (let step = 0; step < 3; step++) {
    const images = Float32Array.from({ length: 4 * 8 * 144 }, (_, k) => Math.sin(k * 1.7 + step));
    results.push(...(await job(images)).map(({ data }) => [...data].map(Number)));
  }
  const session = defaultSession();
  for (const { name } of session.registry.all()) results.push([...(await session.read(name)).data].map(Number));
  const { graph } = session.job("net").latest.compiled.whole.native;
  const count = (op: string) => graph.nodes.filter((node) => node.op === op).length;
  return { results, count, bytes: peakActivationBytes(graph) };
}

describe.each(["onnx", "reference", "tensorflow"].filter(isReady))("config.recompute on %s", (engine) => {
  test("all between the places that are kept is computed again; the results are the same", async () => {
    const expected = await residual(engine, false);
    const found = await residual(engine, true);
    for (const [i, values] of found.results.entries())
      for (const [k, value] of values.entries()) {
        const other = expected.results[i]![k]!;
        expect(Math.abs(value - other)).toBeLessThan(1e-6 + 1e-6 * Math.abs(other));
      }
    expect(found.count("later")).toBeGreaterThan(expected.count("later"));
    expect(found.count("conv")).toBeGreaterThan(expected.count("conv"));
    expect(found.count("dropoutMask")).toBe(expected.count("dropoutMask"));
    expect(found.bytes).toBeLessThan(0.6 * expected.bytes);
  });
  test("and the net of regions gives the same bits", async () => {
    const expected = await trained(engine, kept);
    expect((await trained(engine, recomputed, true)).results).toEqual(expected.results);
  });
});

test("gradients of gradients go through what is computed again", async () => {
  const second = async (around: Around) => {
    await flow.clearDefaultSession();
    const job = flow.globalFunction(
      { name: "second", returns: [tp.Numpy, tp.Numpy] },
      [tp.Numpy.Placeholder([3], { dtype: flow.double })],
      (x) => {
        const y = around(() => flow.math.sin(flow.math.square(x)));
        const dx = flow.gradients(y, x);
        return [dx, flow.gradients(dx, x)];
      },
    );
    return (await job(Float64Array.of(0.5, 1, 2))).map(({ data }) => [...data]);
  };
  const found = await second(recomputed);
  expect(found).toEqual(await second(kept));
  // (sin x^2)'' = 2 cos x^2 - 4 x^2 sin x^2
  for (const [i, x] of [0.5, 1, 2].entries())
    expect(found[1]![i]).toBeCloseTo(2 * Math.cos(x * x) - 4 * x * x * Math.sin(x * x), 12);
});

test("a region may be left by disposal, and one inside another is part of it", async () => {
  const job = flow.globalFunction({ name: "job", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) => {
    let y: flow.Blob;
    {
      using _ = flow.scope.recompute();
      y = flow.scope.recompute(() => flow.math.exp(x));
      y = flow.math.square(y.add(1));
    }
    return flow.gradients(flow.math.sin(y), x);
  });
  const data = (await job([0.1, 0.2])).toArray() as number[];
  for (const [i, x] of [0.1, 0.2].entries()) {
    const e = Math.exp(x) + 1;
    expect(data[i]).toBeCloseTo(Math.cos(e * e) * 2 * e * Math.exp(x), 4);
  }
  const { nodes } = defaultSession().job("job").latest.compiled.whole.native.graph;
  // x alone: exp is made within the outer region.
  expect(nodes.filter(({ op }) => op === "later").length).toBe(1);
});

test("outside of a job, with a wrong argument or an async function it is an error", async () => {
  expect(() => flow.scope.recompute(() => 1)).toThrow(/E_OUTSIDE_JOB/);
  const failing = async (call: () => unknown) => {
    await flow.clearDefaultSession();
    const job = flow.globalFunction({ name: "job" }, [tp.Numpy.Placeholder([2])], (x) => {
      call();
      return x;
    });
    return await job([1, 2]);
  };
  await expect(failing(() => flow.scope.recompute(3 as never))).rejects.toThrow(/scope\.recompute.*E_ARGUMENT/);
  await expect(failing(() => flow.scope.recompute(async () => 1))).rejects.toThrow(/E_ASYNC_JOB/);
});
