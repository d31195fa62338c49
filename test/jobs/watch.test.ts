import * as flow from "onestep";
import { tp } from "onestep";
import { describe, expect, test, vi } from "vitest";
import { failure, tinyImages, tinyJob, tinyLabels, tinyModel } from "./support.js";

const checkPoint = new flow.train.CheckPoint();
const sgd = (learningRate = 0.1, options = {}): flow.optimizer.SGD =>
  new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [learningRate]), {
    momentum: 0,
    ...options,
  });
const engines = ["onnx", "reference"] as const;

/** A train job of w, [10], whose loss is `f(w)`; `watching` gets the blobs. */
function variableJob(
  f: (w: flow.Blob) => flow.Blob,
  watching: (w: flow.Blob, loss: flow.Blob) => void,
  options: { lossScaleFactor?: number } = {},
) {
  return flow.globalFunction({ type: "train", name: "job", returns: tp.Numpy }, () => {
    const w = flow.getVariable("w", { shape: [10], initializer: flow.constantInitializer(2) });
    const loss = f(w);
    sgd(1, options).minimize(loss);
    watching(w, loss);
    return w;
  });
}

describe.each(engines)("%s:", (engine) => {
  test("the documented watch example: max(x, 0), at each call", async () => {
    flow.config.engine(engine);
    const seen: unknown[] = [];
    const job = flow.globalFunction({ name: "ReluJob", returns: null }, [tp.Numpy.Placeholder([5])], (x) => {
      const y = flow.nn.relu(x);
      flow.watch(y, (value) => seen.push(value.toArray()));
    });
    expect(await job([0.5, 0.25, 0, 1, -0.75])).toBeNull();
    expect(seen).toEqual([[0.5, 0.25, 0, 1, 0]]);
    await job([-1, -2, 3, -4, 5]);
    expect(seen).toEqual([
      [0.5, 0.25, 0, 1, 0],
      [0, 0, 3, 0, 5],
    ]);
  });

  test("the documented watch_diff example: the logits' gradient is softmax - onehot", async () => {
    flow.config.engine(engine);
    flow.config.seed(3);
    const seen: { gradient?: flow.NdArray; probabilities?: flow.NdArray } = {};
    const job = flow.globalFunction(
      { type: "train", name: "train_job", returns: tp.Numpy },
      [tp.Numpy.Placeholder([8, 4]), tp.Numpy.Placeholder([8], { dtype: flow.int32 })],
      (x, labels) => {
        const logits = tinyModel(x);
        const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits);
        sgd().minimize(loss);
        flow.watchDiff(logits, (value) => (seen.gradient = value));
        flow.watch(flow.nn.softmax(logits), (value) => (seen.probabilities = value));
        return loss;
      },
    );
    await checkPoint.init();
    for (let step = 0; step < 3; step++) {
      const loss = await job(tinyImages, tinyLabels);
      const { gradient, probabilities } = seen;
      expect(gradient).toMatchObject({ shape: [8, 2], dtype: "float32" });
      for (const [row, label] of tinyLabels.entries()) {
        const g = gradient!.at(row).toArray() as number[];
        const p = probabilities!.at(row).toArray() as number[];
        expect(g[0]! + g[1]!).toBeCloseTo(0, 6);
        expect(g[label]).toBeCloseTo(p[label]! - 1, 6);
        expect(g[1 - label]).toBeCloseTo(p[1 - label]!, 6);
        // Of the loss before this step's update.
        expect(Number(loss.data[row])).toBeCloseTo(-Math.log(1 + g[label]!), 5);
      }
    }
  });

  test("results are the same to the bit, watched or not", async () => {
    const losses = async (watching: boolean): Promise<number[]> => {
      flow.config.engine(engine);
      flow.config.seed(5);
      let called = 0;
      const count = (): unknown => called++;
      const job = tinyJob({
        momentum: 0.9,
        dropout: 0.25,
        minimize: (loss) => {
          sgd(0.1, { momentum: 0.9 }).minimize(loss);
          if (!watching) return;
          flow.watch(loss, count);
          flow.watchDiff(loss, count);
          flow.watch(flow.getVariable("dense1-weight", { shape: [8, 4] }), count);
          flow.watchDiff(flow.getVariable("dense1-weight", { shape: [8, 4] }), count);
        },
      });
      const evalJob = flow.globalFunction(
        { name: "eval_job", returns: tp.Numpy },
        [tp.Numpy.Placeholder([8, 4])],
        (x) => {
          const logits = tinyModel(x);
          if (watching) flow.watch(flow.nn.softmax(logits), count);
          return logits;
        },
      );
      await checkPoint.init();
      const values: number[] = [];
      for (let step = 0; step < 5; step++) {
        values.push(...((await job(tinyImages, tinyLabels)).data as Float32Array));
        values.push(...((await evalJob(tinyImages)).data as Float32Array));
      }
      values.push(...((await flow.experimental.getInterfaceBlobValue("dense1-weight")).data as Float32Array));
      await flow.clearDefaultSession();
      expect(called).toBe(watching ? 5 * 5 : 0);
      return values;
    };
    const without = await losses(false);
    expect(await losses(true)).toEqual(without);
  });

  test("watchDiff shows gradients before they are averaged: of a variable (10,) as loss, ones", async () => {
    flow.config.engine(engine);
    const seen: unknown[] = [];
    const job = variableJob(
      (w) => w,
      (w) => flow.watchDiff(w, (value) => seen.push(value.toArray())),
    );
    await checkPoint.init();
    await job();
    expect(seen).toEqual([Array(10).fill(1)]);
    // The update used the average.
    expect((await job()).toArray()).toEqual(Array(10).fill(Math.fround(2 - 0.1)));
  });

  test("watchDiff does not show the loss scale", async () => {
    flow.config.engine(engine);
    const seen: unknown[] = [];
    const job = variableJob(
      (w) => w.mul(w),
      (w) => flow.watchDiff(w, (value) => seen.push(value.toArray())),
      { lossScaleFactor: 1024 },
    );
    await checkPoint.init();
    await job();
    expect(seen).toEqual([Array(10).fill(4)]);
    expect(Number((await job()).data[0])).toBeCloseTo(2 - 0.4, 6);
  });

  test("watchDiff of a blob used twice shows the sum, of one used once more behind it its own part too", async () => {
    flow.config.engine(engine);
    const seen: Record<string, unknown> = {};
    const job = variableJob(
      (w) => {
        const shared = w.mul(3);
        const square = shared.mul(shared);
        flow.watchDiff(shared, (value) => (seen.shared = value.at(0).item()));
        flow.watchDiff(square, (value) => (seen.square = value.at(0).item()));
        return square.add(shared.mul(5));
      },
      (w, loss) => {
        flow.watchDiff(w, (value) => (seen.w = value.at(0).item()));
        flow.watchDiff(loss, (value) => (seen.loss = value.at(0).item()));
      },
    );
    await checkPoint.init();
    await job();
    // shared = 6: d(shared^2 + 5 shared) = 2 * 6 + 5, times 3 for w.
    expect(seen).toEqual({ loss: 1, square: 1, shared: 17, w: 51 });
  });

  test("watchDiff of several losses adds their gradients", async () => {
    flow.config.engine(engine);
    const seen: unknown[] = [];
    const job = flow.globalFunction({ type: "train", name: "job", returns: null }, () => {
      const w = flow.getVariable("w", { shape: [2], initializer: flow.constantInitializer(2) });
      sgd().minimize([w.mul(3), w.mul(w)]);
      flow.watchDiff(w, (value) => seen.push(value.toArray()));
    });
    await checkPoint.init();
    await job();
    expect(seen).toEqual([[7, 7]]);
  });
});

test("several handlers of one blob, before minimize or after, are called in the order they were given", async () => {
  const calls: string[] = [];
  const job = variableJob(
    (w) => {
      flow.watchDiff(w, () => calls.push("gradient, first"));
      flow.watch(w, () => calls.push("value, first"));
      return w;
    },
    (w) => {
      flow.watch(w, () => calls.push("value, second"));
      flow.watchDiff(w, () => calls.push("gradient, second"));
    },
  );
  await checkPoint.init();
  await job();
  expect(calls).toEqual(["value, first", "value, second", "gradient, first", "gradient, second"]);
  await job();
  expect(calls).toHaveLength(8);
});

test("a prompt is printed before the value; nothing prints the value alone", async () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  try {
    const job = flow.globalFunction({ name: "job", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) => {
      flow.watch(x, "the input:");
      flow.watch(x.mul(2));
      return x;
    });
    await job([1, 2]);
    expect(log.mock.calls).toEqual([["the input:"], ["float32[2] [1, 2]"], ["float32[2] [2, 4]"]]);
  } finally {
    log.mockRestore();
  }
});

test("type says in which form the handler gets the value", async () => {
  const seen: unknown[] = [];
  const job = flow.globalFunction({ name: "job", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) => {
    flow.watch(x, (value) => seen.push(value.toArray()));
    flow.watch(x, (list) => seen.push(list.map((value) => value.toArray())), { type: tp.ListNumpy });
    flow.watch(x, ([[value]]) => seen.push([[value.toArray()]]), { type: tp.ListListNumpy });
    return x;
  });
  await job([1, 2]);
  expect(seen).toEqual([[1, 2], [[1, 2]], [[[1, 2]]]]);
});

test("values of every dtype can be watched, bool as int8", async () => {
  const seen: string[] = [];
  const job = flow.globalFunction(
    { name: "job", returns: null },
    [tp.Numpy.Placeholder([2], { dtype: flow.int64 }), tp.Numpy.Placeholder([2], { dtype: flow.float64 })],
    (n, x) => {
      for (const blob of [n, x, x.greater(0)]) flow.watch(blob, (value) => seen.push(String(value)));
    },
  );
  await job([1n, 2n], [0.5, -0.5]);
  expect(seen).toEqual(["int64[2] [1, 2]", "float64[2] [0.5, -0.5]", "int8[2] [1, 0]"]);
});

test("in a predict job, and where no loss depends on the blob, watchDiff never calls its handler", async () => {
  const never = vi.fn();
  const predict = flow.globalFunction({ name: "predict", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) => {
    const y = x.mul(x);
    flow.watchDiff(y, never);
    flow.watchDiff(x, "never printed");
    return y;
  });
  const train = variableJob(
    (w) => w,
    (w) => flow.watchDiff(w.mul(2), never),
  );
  await checkPoint.init();
  expect((await predict([1, 3])).toArray()).toEqual([1, 9]);
  await train();
  expect(never).not.toHaveBeenCalled();
});

test("handlers run before the call's result is given, async ones to their end", async () => {
  const order: string[] = [];
  const job = flow.globalFunction({ name: "job", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) => {
    flow.watch(x, async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      order.push("async handler");
    });
    flow.watch(x, () => order.push("handler"));
    return x;
  });
  await job([1, 2]).then(() => order.push("result"));
  expect(order).toEqual(["handler", "async handler", "result"]);
});

test("a handler that throws rejects the call, whose step was made; later calls go on", async () => {
  for (const throwing of [
    () => {
      throw new RangeError("handler failed");
    },
    async () => {
      throw new RangeError("handler failed");
    },
  ]) {
    let fails = true;
    const others = vi.fn();
    const job = variableJob(
      (w) => w,
      (w) => {
        flow.watch(w, () => (fails ? throwing() : undefined));
        flow.watch(w, others);
      },
    );
    await checkPoint.init();
    await expect(job()).rejects.toThrow(new RangeError("handler failed"));
    expect(others).toHaveBeenCalledTimes(1);
    expect(await job.step()).toBe(1);
    fails = false;
    expect((await job()).toArray()).toEqual(Array(10).fill(Math.fround(2 - 0.1)));
    await flow.clearDefaultSession();
  }
});

test("of several handlers that throw, all errors are given", async () => {
  const job = flow.globalFunction({ name: "job", returns: tp.Numpy }, [tp.Numpy.Placeholder([1])], (x) => {
    for (const name of ["a", "b"])
      flow.watch(x, () => {
        throw new Error(name);
      });
    return x;
  });
  const error = await job([1]).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(AggregateError);
  expect((error as AggregateError).message).toBe("job 'job': 2 watch handlers failed");
  expect((error as AggregateError).errors.map(({ message }) => message)).toEqual(["a", "b"]);
});

test("a handler may itself await a job, also the one that it watches, and a CheckPoint", async () => {
  const inner = flow.globalFunction({ name: "inner", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) =>
    x.mul(10),
  );
  const seen: unknown[] = [];
  let depth = 0;
  const outer = flow.globalFunction({ name: "outer", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) => {
    flow.watch(x, async (value) => {
      seen.push((await inner(value as flow.NdArray<"float32">)).toArray());
      await checkPoint.init();
      if (depth++ === 0) seen.push((await outer([3, 4])).toArray());
    });
    return x.add(1);
  });
  expect((await outer([1, 2])).toArray()).toEqual([2, 3]);
  expect(seen).toEqual([
    [10, 20],
    [30, 40],
    [4, 5],
  ]);
});

test("a watched value belongs to the handler: it may be changed and kept", async () => {
  const kept: flow.NdArray[] = [];
  const job = variableJob(
    (w) => w,
    (w) =>
      flow.watch(w, (value) => {
        kept.push(value);
        value.data[0] = 99;
      }),
  );
  await checkPoint.init();
  expect((await job()).data[0]).toBe(2);
  expect((await job()).data[0]).toBe(Math.fround(1.9));
  expect(kept.map(({ data }) => data[1])).toEqual([2, Math.fround(1.9)]);
});

test("with open shapes each call shows its own; with accumulated gradients each call shows its gradient", async () => {
  const shapes: unknown[] = [];
  const dynamic = flow.globalFunction({ name: "open", returns: tp.Numpy }, [tp.Numpy.Placeholder([null, 2])], (x) => {
    flow.watch(x, (value) => shapes.push(value.shape));
    return x;
  });
  for (const rows of [1, 3, 1]) await dynamic(new Float32Array(2 * rows));
  expect(shapes).toEqual([
    [1, 2],
    [3, 2],
    [1, 2],
  ]);
  await flow.clearDefaultSession();
  const gradients: unknown[] = [];
  const job = flow.globalFunction({ type: "train", name: "job", returns: null }, [tp.Numpy.Placeholder([2])], (x) => {
    const w = flow.getVariable("w", { shape: [2], initializer: flow.onesInitializer() });
    sgd().minimize(w.mul(x), { accumulate: 2 });
    flow.watchDiff(w, (value) => gradients.push(value.toArray()));
  });
  await checkPoint.init();
  for (const n of [1, 2, 3]) await job([n, 10 * n]);
  expect(gradients).toEqual([
    [1, 10],
    [2, 20],
    [3, 30],
  ]);
});

test("wrong uses", async () => {
  const tracing = async (fn: (x: flow.Blob) => void): Promise<flow.FlowError> => {
    await flow.clearDefaultSession();
    const job = flow.globalFunction(
      { name: "job", returns: null },
      [tp.Numpy.Placeholder([2], { dtype: flow.int32 })],
      (x) => fn(x),
    );
    return await failure(() => job([1, 2]));
  };
  const cases: readonly [(x: flow.Blob) => unknown, string, string][] = [
    [() => flow.watch(3 as never), "E_ARGUMENT", "watch: blob is the number 3, expected a Blob"],
    [
      (x) => flow.watch(x, 3 as never),
      "E_ARGUMENT",
      "the second argument is the number 3, expected a handler or a prompt",
    ],
    [
      (x) => flow.watch(x, ((_a: unknown, _b: unknown) => 0) as never),
      "E_ARGUMENT",
      "the handler takes 2 arguments, expected one",
    ],
    [(x) => flow.watch(x, () => 0, { typ: tp.Numpy } as never), "E_OPTION", "did you mean 'type'?"],
    [(x) => flow.watch(x, () => 0, { type: 1 } as never), "E_ARGUMENT", "type is the number 1, expected tp.Numpy"],
    [(x) => flow.watchDiff(x, () => 0), "E_DTYPE", "only floating blobs have gradients"],
  ];
  for (const [fn, code, message] of cases) {
    const error = await tracing(fn);
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  }
  expect((await failure(() => flow.watch({} as never))).code).toBe("E_OUTSIDE_JOB");
});
