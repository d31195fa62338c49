import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test, vi } from "vitest";
import { failure, scratch, tinyImages, tinyJob, tinyLabels, tinyModel } from "./support.js";

const checkPoint = new flow.train.CheckPoint();
const identity = (x: flow.Blob): flow.Blob => x;

test("returns: one blob, tuples, objects, nested, and the value before the update", async () => {
  const job = flow.globalFunction(
    { type: "train", name: "shapes", returns: { loss: tp.Numpy, pair: [tp.Numpy, { w: tp.Numpy }] } },
    [tp.Numpy.Placeholder([2, 3])],
    (x) => {
      const w = flow.getVariable("w", { shape: [3], initializer: flow.onesInitializer() });
      const loss = flow.math.reduceSum(x.mul(w));
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [1]), { momentum: 0 }).minimize(loss);
      return { loss, pair: [x, { w }] as const };
    },
  );
  await checkPoint.init();
  const { loss, pair } = await job([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  expect(loss.item()).toBe(21);
  expect(pair[0].toArray()).toEqual([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  expect(pair[1].w.toArray()).toEqual([1, 1, 1]);
  expect(
    (
      await job([
        [1, 2, 3],
        [4, 5, 6],
      ])
    ).pair[1].w.toArray(),
  ).toEqual([1 - 5, 1 - 7, 1 - 9]);
});

test("an unannotated job gives a JobResult: awaited, get() once, asyncGet", async () => {
  const job = flow.globalFunction({ name: "free" }, [tp.Numpy.Placeholder([2])], (x) => ({
    twice: x.add(x),
    none: null,
  }));
  expect((await job([1, 2])).twice.toArray()).toEqual([2, 4]);
  const result = job([3, 4]);
  expect((await result.get()).twice.numpy().toArray()).toEqual([6, 8]);
  expect((await failure(() => result.get())).code).toBe("E_ARGUMENT");
  const seen = await new Promise<flow.NdArray>((resolve) =>
    job([5, 6]).asyncGet(({ twice, none }) => {
      expect(none).toBeNull();
      resolve(twice);
    }),
  );
  expect(seen.toArray()).toEqual([10, 12]);
});

test("feeds are copied at the call, calls run in order, results are fresh and frozen", async () => {
  const job = flow.globalFunction({ name: "copy", returns: tp.Numpy }, [tp.Numpy.Placeholder([3])], identity);
  const feed = Float32Array.of(1, 2, 3);
  const first = job(feed);
  feed.fill(9);
  const second = job(feed);
  expect((await first).toArray()).toEqual([1, 2, 3]);
  const result = await second;
  expect(result.toArray()).toEqual([9, 9, 9]);
  result.data[0] = 5;
  expect((await job(feed)).toArray()).toEqual([9, 9, 9]);
  expect(Object.isFrozen(result)).toBe(true);
});

test("every dtype goes in and out", async () => {
  const types = [flow.float32, flow.float64, flow.int8, flow.uint8, flow.int32, flow.int64] as const;
  const job = flow.globalFunction(
    { name: "types" },
    types.map((dtype) => tp.Numpy.Placeholder([2], { dtype })),
    (...blobs) => blobs,
  );
  const results = await (job as unknown as (...feeds: unknown[]) => Promise<flow.NdArray[]>)(
    ...types.map(() => [1, 2]),
  );
  expect(results.map(({ dtype }) => dtype)).toEqual(types);
  for (const result of results) expect(result.toArray()).toEqual([1, 2]);
  expect(results.at(-1)!.data).toEqual(BigInt64Array.of(1n, 2n));
});

test("wrong feeds are one error that names job and argument", async () => {
  const job = tinyJob();
  await checkPoint.init();
  const cases: readonly [unknown[], string, string][] = [
    [[tinyImages], "E_ARGUMENT", "job 'train_job': got 1 arguments, expected 2"],
    [
      [tinyImages.slice(1), tinyLabels],
      "E_SHAPE",
      "job 'train_job', argument 0: got an array of 7, expected an array of 8 (float32[8,4])",
    ],
    [
      [new Float64Array(32), tinyLabels],
      "E_DTYPE",
      "job 'train_job', argument 0: got float64, expected float32[8,4]; convert it first",
    ],
    [
      [new Float32Array(31), tinyLabels],
      "E_SHAPE",
      "job 'train_job', argument 0: got 31 elements, expected float32[8,4], which has 32",
    ],
    [
      [new flow.NdArray(new Float32Array(32), [4, 8]), tinyLabels],
      "E_SHAPE",
      "job 'train_job', argument 0: got float32[4,8], expected float32[8,4]; reshape it",
    ],
    [
      [tinyImages, tinyLabels.map((l) => l + 0.5)],
      "E_DTYPE",
      "job 'train_job', argument 1[0]: 0.5 does not fit int32, expected int32[8]",
    ],
    [[tinyImages, null], "E_ARGUMENT", "job 'train_job', argument 1: got null, expected int32[8]"],
  ];
  for (const [args, code, message] of cases) {
    const error = await failure(() => (job as (...feeds: unknown[]) => Promise<unknown>)(...args));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  }
});

test("an error's stack ends at the user's line, also across await", async () => {
  const job = tinyJob();
  await checkPoint.init();
  const error = await failure(async () => await job(tinyImages, [0, 1, 2, 0, 0, 0, 0, 0]));
  expect(error.code).toBe("E_LABEL");
  expect(error.message).toContain("label 2 is outside [0, 1]");
  expect(error.stack).toContain("jobs.test.ts");
  expect(error.stack).not.toMatch(/dist\/(bundle|job|engines)/);
});

test("a failed step changes nothing", async () => {
  const job = tinyJob();
  await checkPoint.init();
  const before = (await job(tinyImages, tinyLabels)).data;
  await checkPoint.init();
  await failure(() => job(tinyImages, [-1, 0, 0, 0, 0, 0, 0, 0]));
  expect((await job(tinyImages, tinyLabels)).data).toEqual(before);
});

test("a variable without a value is an error that says what to call", async () => {
  const job = tinyJob();
  const error = await failure(() => job(tinyImages, tinyLabels));
  expect(error.message).toMatch(
    /job 'train_job': variable 'dense1-weight' has no value; call checkPoint.init\(\) or checkPoint.load/,
  );
});

test("a late job joins with the values kept; its own variables need init({ onlyMissing })", async () => {
  const train = tinyJob();
  await checkPoint.init();
  for (let i = 0; i < 20; i++) await train(tinyImages, tinyLabels);
  const late = flow.globalFunction(
    { name: "late", returns: [tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([8, 4])],
    (x) => {
      const extra = flow.getVariable("extra", { shape: [2], initializer: flow.constantInitializer(5) });
      return [
        flow.getVariable("dense1-weight", { shape: [8, 4], initializer: flow.truncatedNormal(0.5) }),
        tinyModel2(x).add(extra),
      ];
    },
  );
  const tinyModel2 = (x: flow.Blob): flow.Blob => flow.math.reduceSum(x, { axis: 1, keepdims: true });
  expect((await failure(() => late(tinyImages))).message).toContain("'extra'");
  const probe = flow.globalFunction({ name: "probe", returns: tp.Numpy }, () =>
    flow.getVariable("dense1-weight", { shape: [8, 4], initializer: flow.truncatedNormal(0.5) }).add(0),
  );
  const trained = (await probe()).data;
  await checkPoint.init({ onlyMissing: true });
  const [weight] = await late(tinyImages);
  expect(weight.data).toEqual(trained);
  await checkPoint.init();
  expect((await late(tinyImages))[0].data).not.toEqual(trained);
});

test("an eval job shares the variables and sees the last update", async () => {
  const train = tinyJob();
  const predict = flow.globalFunction({ name: "predict", returns: tp.Numpy }, [tp.Numpy.Placeholder([3, 4])], (x) =>
    tinyModel(x),
  );
  await checkPoint.init();
  const before = await predict(tinyImages.slice(0, 3));
  await train(tinyImages, tinyLabels);
  expect((await predict(tinyImages.slice(0, 3))).data).not.toEqual(before.data);
});

test("clearDefaultSession: queued calls finish, old jobs refuse, a new life begins", async () => {
  const job = flow.globalFunction({ name: "old", returns: tp.Numpy }, [tp.Numpy.Placeholder([1])], identity);
  const queued = job([1]);
  const cleared = flow.clearDefaultSession();
  expect((await queued).item()).toBe(1);
  await cleared;
  expect((await failure(() => job([1]))).code).toBe("E_CLOSED");
  const again = flow.globalFunction({ name: "old", returns: tp.Numpy }, [tp.Numpy.Placeholder([1])], identity);
  expect((await again([2])).item()).toBe(2);
});

test("declaring: wrong uses", async () => {
  const declare = (options: object, ...rest: unknown[]) =>
    (flow.globalFunction as (...args: unknown[]) => unknown)(options, ...rest);
  expect((await failure(() => declare({}, () => null))).code).toBe("E_NAME");
  expect((await failure(() => declare({ type: "trian", name: "a" }, () => null))).message).toContain(
    'expected "train" or "predict"',
  );
  expect((await failure(() => declare({ nmae: "a" }, () => null))).message).toContain("did you mean 'name'?");
  expect((await failure(() => declare({ name: "a/b" }, () => null))).code).toBe("E_NAME");
  expect((await failure(() => flow.nn.relu(null as never))).code).toBe("E_OUTSIDE_JOB");
  expect((await failure(() => flow.getVariable("x", { shape: [1] }))).code).toBe("E_OUTSIDE_JOB");
  expect((await failure(() => checkPoint.init())).message).toContain("the session has no job");
});

/** The error of a job whose function is `fn`. */
const tracing = (fn: (x: flow.Blob) => unknown, type: "train" | "predict" = "predict") =>
  failure(async () => {
    const job = (flow.globalFunction as (...args: unknown[]) => () => Promise<unknown>)(
      { type, name: "wrong" },
      [tp.Numpy.Placeholder([2, 3])],
      fn,
    );
    try {
      await (job as (...feeds: unknown[]) => Promise<unknown>)([
        [1, 2, 3],
        [4, 5, 6],
      ]);
    } finally {
      await flow.clearDefaultSession();
    }
  });

test("errors inside job functions", async () => {
  const initializer = flow.zerosInitializer();
  const sgd = () => new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1]));
  const cases: readonly [(x: flow.Blob) => unknown, string, RegExp, ("train" | "predict")?][] = [
    [async (x) => x, "E_ASYNC_JOB", /must not be async/],
    [(x) => [x, 3], "E_RETURNS", /returned number at \[1\], expected Blobs/],
    [
      (x) => x.add(flow.cast(x, "float64")),
      "E_DTYPE",
      /add: got float32\[2,3\] and float64\[2,3\], expected equal dtypes/,
    ],
    [
      (x) => x.add(flow.constant(1, { dtype: "float32", shape: [4] })),
      "E_SHAPE",
      /add: cannot broadcast float32\[2,3\] with float32\[4\]: dimension 1 is 3 on the left and 4 on the right/,
    ],
    [(x) => flow.reshape(x, [4, -1]), "E_SHAPE", /reshape: cannot give float32\[2,3\] the shape \[4,-1\]/],
    [(x) => flow.matmul(x, x), "E_SHAPE", /inner dimensions 3 and 2 differ/],
    [(x) => flow.transpose(x, { perm: [0, 0] }), "E_ARGUMENT", /no permutation/],
    [(x) => flow.math.reduceSum(x, { axis: 2 }), "E_ARGUMENT", /axis 2 is outside \[-2, 1\]/],
    [(x) => flow.nn.softmax(x, { axis: 0 }), "E_ARGUMENT", /axis other than 0/],
    [(x) => flow.nn.relu(flow.cast(x, "int32")), "E_DTYPE", /relu: got int32/],
    [(x) => (x as unknown as number) + 1, "E_ARGUMENT", /has no value while the job is traced/],
    [
      (x) => [flow.layers.dense(x, 2, { name: "d" }), flow.layers.dense(x, 2, { name: "d" })],
      "E_DUPLICATE",
      /already has the variable/,
    ],
    [
      (x) => [flow.nn.relu(x, { name: "r" }), flow.nn.relu(x, { name: "r" })],
      "E_DUPLICATE",
      /an op named 'r' already exists/,
    ],
    [
      (x) => flow.layers.dense(x, 2, { kernelInitialiser: initializer } as object),
      "E_OPTION",
      /did you mean 'kernelInitializer'\?/,
    ],
    [() => flow.getVariable("v", { initializer }), "E_VARIABLE", /shape is missing/],
    [() => flow.getVariable("v", { shape: [1] }), "E_VARIABLE", /initializer is missing/],
    [() => flow.getVariable("../v", { shape: [1], initializer }), "E_NAME", /'\.\.\/v'/],
    [() => flow.getVariable("snapshot_done", { shape: [1], initializer }), "E_NAME", /snapshot_done/],
    [
      () => [flow.getVariable("v", { shape: [1], initializer }), flow.getVariable("V", { shape: [1], initializer })],
      "E_NAME",
      /case/,
    ],
    [
      () => [flow.getVariable("v", { shape: [1], initializer }), flow.getVariable("v", { shape: [2] })],
      "E_VARIABLE",
      /got float32\[2\], but it is float32\[1\]/,
    ],
    [
      () => flow.getVariable("v", { shape: [1], dtype: "int32", initializer: flow.truncatedNormal(1) }),
      "E_DTYPE",
      /cannot fill a int32 variable/,
    ],
    [(x) => flow.scope.placement("tpu" as never, "0:0", () => x), "E_DEVICE", /expected "cpu" or "gpu"/],
    [(x) => flow.scope.placement("cpu", "0", () => x), "E_DEVICE", /malformed/],
    [(x) => x, "E_OPTIMIZER", /a train job needs an optimizer/, "train"],
    [(x) => [sgd().minimize(x), x], "E_OPTIMIZER", /depends on no trainable variable/, "train"],
    [(x) => [sgd().minimize(x), x], "E_OPTIMIZER", /is a predict job/],
    [() => new flow.optimizer.SGD(0.1 as never), "E_ARGUMENT", /the number 0.1, expected a scheduler/],
    [() => new flow.optimizer.PiecewiseConstantScheduler([1], [0.1]), "E_ARGUMENT", /one value more/],
    [
      () => new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [1]), { momentun: 1 } as object),
      "E_OPTION",
      /did you mean 'momentum'\?/,
    ],
    [(x) => flow.nn.dropout(x, 1), "E_ARGUMENT", /0 <= rate < 1/],
    [(x) => flow.cast(x, "float17" as never), "E_DTYPE", /cast: dtype is 'float17', expected one of float32, /],
    [() => flow.constant(1, {}), "E_ARGUMENT", /dtype is missing/],
  ];
  for (const [fn, code, message, type] of cases) {
    const error = await tracing(fn, type);
    expect(error.code, `${fn}: ${error.message}`).toBe(code);
    expect(error.message).toMatch(message);
  }
});

test("another job must make a shared variable the same way; the error names both places", async () => {
  tinyJob();
  flow.globalFunction({ name: "other", returns: tp.Numpy }, () =>
    flow.getVariable("dense1-weight", { shape: [8, 4], initializer: flow.truncatedNormal(0.1) }),
  );
  const error = await failure(() => checkPoint.init());
  expect(error.code).toBe("E_VARIABLE");
  expect(error.message).toMatch(
    /initializer .*"stddev":0.1.* in job 'other' \(.*jobs\.test\.ts:\d+:\d+\), but .*"stddev":0.5.* \(.*support\.ts:\d+:\d+\)/,
  );
});

test("a missing gradient names the op and the path", async () => {
  const { backpropagate } = await import("#src/autodiff/backpropagate.js");
  const { op } = await import("#src/ops/define.js");
  const { emit } = await import("#src/graph/trace.js");
  const { graphOf } = await import("../ops/harness.js");
  const { ops } = await import("#src/ops/index.js");
  const noGradient = op("mystery", { infer: ([x]) => x! });
  (ops as Record<string, unknown>).mystery = noGradient;
  try {
    const error = await failure(() =>
      graphOf("g", [{ dtype: "float32", shape: [2] }], (x) => [
        backpropagate([flow.math.exp(emit(noGradient, [flow.math.log(x)], {}))], [x])[0]!,
      ]),
    );
    expect(error.code).toBe("E_GRADIENT");
    expect(error.message).toContain(
      "op mystery has no gradient and lies on the path placeholder 'argument 0' -> log -> mystery -> exp",
    );
  } finally {
    delete (ops as Record<string, unknown>).mystery;
  }
});

test("placement('gpu') without a GPU runs on the CPU and says so once", async () => {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  try {
    const job = flow.globalFunction({ name: "gpu", returns: tp.Numpy }, [tp.Numpy.Placeholder([1])], (x) =>
      flow.scope.placement("gpu", "0:0-3", () => flow.scope.placement("gpu", ["0:0"], () => x.add(1))),
    );
    expect((await job([1])).item()).toBe(2);
    expect(write.mock.calls.filter(([text]) => String(text).includes("running on the CPU")).length).toBe(1);
  } finally {
    write.mockRestore();
  }
});

test("namespaces prefix variables and ops, and are restored after exceptions", async () => {
  const initializer = flow.onesInitializer();
  const job = flow.globalFunction({ name: "spaces", returns: [tp.Numpy, tp.Numpy] }, () => {
    expect(() =>
      flow.scope.namespace("lost", () => {
        throw new Error("stop");
      }),
    ).toThrow("stop");
    const inner = flow.scope.namespace("backbone", () =>
      flow.scope.namespace("branch", () => flow.getVariable("var", { shape: [1], initializer })),
    );
    expect(inner.opName).toBe("backbone-branch-var");
    expect(flow.getVariable("backbone-branch-var")).toBe(inner);
    return [inner, flow.getVariable("plain", { shape: [1], initializer })] as const;
  });
  await checkPoint.init();
  expect((await job()).map((value) => value.item())).toEqual([1, 1]);
});

test("config is fixed once the session runs", async () => {
  const job = flow.globalFunction({ name: "running", returns: tp.Numpy }, [tp.Numpy.Placeholder([1])], identity);
  expect((await failure(() => flow.config.engine("onx"))).message).toContain("did you mean 'onnx'?");
  await job([1]);
  expect((await failure(() => flow.config.seed(1))).message).toContain("the session is running");
});

test("host ops run on arguments and other host ops; one behind the engine is an error naming both", async () => {
  const { hostOp } = await import("#src/ops/define.js");
  const { emit } = await import("#src/graph/trace.js");
  const { ops } = await import("#src/ops/index.js");
  const reverse = hostOp("hostReverse", {
    infer: ([x]) => x!,
    grad: "stop",
    host: async ([x]) => [{ ...x!, data: x!.data.slice().reverse() as Float32Array<ArrayBuffer> }],
  });
  (ops as Record<string, unknown>).hostReverse = reverse;
  try {
    const fine = flow.globalFunction({ name: "fine", returns: tp.Numpy }, [tp.Numpy.Placeholder([3])], (x) =>
      emit(reverse, [emit(reverse, [emit(reverse, [x], {})], {})], {}).add(x),
    );
    expect((await fine([1, 2, 4])).toArray()).toEqual([5, 4, 5]);
    const error = await tracing((x) => emit(reverse, [flow.math.exp(x, { name: "native" })], {}, "behind"));
    expect(error.code).toBe("E_HOST");
    expect(error.message).toContain("host op hostReverse 'behind' depends on 'native'");
  } finally {
    delete (ops as Record<string, unknown>).hostReverse;
  }
});

test("a variable's error names the user's line, also where source maps show the package's sources", async () => {
  const error = await tracing((x) => [flow.layers.dense(x, 2), flow.layers.dense(x, 2)]);
  expect(error.message).toMatch(/made at .*jobs\.test\.ts:\d+:\d+\)/);
  const { execFileSync } = await import("node:child_process");
  const { fileURLToPath } = await import("node:url");
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const program = `import * as flow from "onestep";
    const job = flow.globalFunction({ name: "job" }, () => [0, 1].map(() => flow.getVariable("v", { shape: [1], initializer: flow.zerosInitializer(), reuse: false })));
    await job().catch((error) => console.log(error.message));`;
  const output = execFileSync(process.execPath, ["--enable-source-maps", "--input-type=module", "--eval", program], {
    cwd: root,
    encoding: "utf8",
  });
  expect(output).toMatch(/made at .*\[eval1\]:2:\d+\)/);
});

test("a variable that is assigned and trained in one job is an error", async () => {
  const { currentBuilder } = await import("#src/graph/trace.js");
  const error = await tracing((x) => {
    const w = flow.getVariable("w", { shape: [3], initializer: flow.onesInitializer() });
    currentBuilder("test").update("w", w.add(1));
    new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [1])).minimize(w.mul(x));
    return x;
  }, "train");
  expect(error.code).toBe("E_UPDATE");
  expect(error.message).toContain("'w' is assigned in job 'wrong' and trained there too");
});

test("ONESTEP_DEBUG: 1 checks, 2 prints each pass, 3 writes the model", async () => {
  const { spawnSync } = await import("node:child_process");
  const { existsSync } = await import("node:fs");
  const folder = scratch();
  const program = `import * as flow from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
    const job = flow.globalFunction({ name: "shown", returns: flow.tp.Numpy }, [flow.tp.Numpy.Placeholder([2])], (x) => x.mul(1).add(3));
    await job([1, 2]);`;
  const run = (level: string): string =>
    spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, ONESTEP_DEBUG: level, ONESTEP_ENGINE: "onnx" },
    }).stderr;
  expect(run("0")).toBe("");
  const printed = run("2");
  expect(printed).toMatch(
    /after trace\n%0:float32\[2\] = placeholder 'argument 0'\n%1.* = constant .*\n%2:float32\[2\] = multiply %0 %1/,
  );
  expect(printed).toMatch(
    /after simplify\n%0:float32\[2\] = placeholder 'argument 0'\n%1.* = constant {value=3.*\n%2:float32\[2\] = add %0 %1\nreturn %2/,
  );
  expect(existsSync(`${folder}/onestep-debug`)).toBe(false);
  expect(run("3")).toContain("model written to");
  expect(existsSync(`${folder}/onestep-debug/shown.onnx`)).toBe(true);
});
