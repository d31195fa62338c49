import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { failure } from "./support.js";

const checkPoint = new flow.train.CheckPoint();

test("default type and initializer of variables; what the call gives counts more", async () => {
  const config = flow.functionConfig();
  config.defaultDataType(flow.double);
  config.defaultInitializerConf({ constant_conf: { value: 10 } });
  const job = flow.globalFunction({ name: "defaults", functionConfig: config, returns: [tp.Numpy, tp.Numpy] }, () => [
    flow.getVariable("a", { shape: [2] }),
    flow.getVariable("b", { shape: [1], dtype: flow.float, initializer: flow.onesInitializer() }),
  ]);
  // The job keeps what the config said when it was declared.
  config.defaultDataType(flow.float);
  await checkPoint.init();
  const [a, b] = await job();
  expect([a.dtype, a.toArray(), b.dtype, b.toArray()]).toEqual(["float64", [10, 10], "float32", [1]]);
});

test("initializers of the original's configuration", async () => {
  const values = async (conf: object): Promise<Float32Array> => {
    flow.config.seed(1);
    const config = flow.functionConfig();
    config.defaultInitializerConf(conf as never);
    const job = flow.globalFunction({ name: "conf", functionConfig: config, returns: tp.Numpy }, () =>
      flow.getVariable("v", { shape: [40, 50] }),
    );
    await checkPoint.init();
    const result = (await job()).data as Float32Array;
    await flow.clearDefaultSession();
    return result;
  };
  const mean = (data: Float32Array): number => data.reduce((sum, v) => sum + v, 0) / data.length;
  const uniform = await values({ randomUniformConf: { min: 2, max: 3 } });
  expect(Math.min(...uniform)).toBeGreaterThanOrEqual(2);
  expect(mean(uniform)).toBeCloseTo(2.5, 1);
  expect(mean(await values({ random_normal_conf: { mean: 5, std: 0.1 } }))).toBeCloseTo(5, 1);
  const truncated = await values({ truncated_normal_conf: { mean: 0, std: 1 } });
  expect(Math.max(...truncated.map(Math.abs))).toBeLessThan(2);
  // sqrt(2 / (50 + 40))
  const deviation = (data: Float32Array): number => Math.sqrt(mean(data.map((v) => v * v)));
  expect(deviation(await values({ xavier_conf: {} }))).toBeCloseTo(0.149, 2);
  expect(
    deviation(
      await values({ variance_scaling_conf: { scale: 2, variance_norm: "kFanIn", distribution: "kRandomNormal" } }),
    ),
  ).toBeCloseTo(0.2, 2);
  expect(mean(await values(flow.constantInitializer(4)))).toBe(4);
  expect((await failure(() => values({ constnat_conf: {} }))).message).toContain("did you mean 'constantConf'?");
});

test("the pre-optimizer settings train a job whose losses were added", async () => {
  const trained = async (
    set: (train: flow.FunctionConfig["train"]) => void,
    optimizer: () => flow.optimizer.Optimizer,
  ): Promise<[flow.NdArray, flow.NdArray]> => {
    const config = flow.functionConfig();
    set(config.train);
    const declare = (name: string, minimize: (loss: flow.Blob) => void) =>
      flow.globalFunction({ type: "train", name, functionConfig: config, returns: tp.Numpy }, () => {
        const w = flow.getVariable(name, { shape: [3], initializer: flow.onesInitializer() });
        const loss = flow.math.square(w.mul(flow.constant(2, { dtype: flow.float, shape: [3] })));
        minimize(loss);
        return w;
      });
    const old = declare("old", flow.losses.addLoss);
    const current = declare("current", (loss) => {
      flow.losses.addLoss(flow.math.exp(loss)); // minimize takes its place
      optimizer().minimize(loss);
    });
    await checkPoint.init();
    for (let i = 0; i < 3; i++) await Promise.all([old(), current()]);
    const result: [flow.NdArray, flow.NdArray] = [await old(), await current()];
    await flow.clearDefaultSession();
    return result;
  };
  const schedule = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
  const cases: readonly [Parameters<typeof trained>[0], Parameters<typeof trained>[1]][] = [
    [(train) => train.primaryLr(0.1), () => new flow.optimizer.SGD(schedule, { momentum: 0 })],
    [
      (train) => {
        train.primaryLr(0.1);
        train.modelUpdateConf({ momentum_conf: { beta: 0.5 } });
        train.lossScaleFactor(8);
      },
      () => new flow.optimizer.SGD(schedule, { momentum: 0.5 }),
    ],
    [
      (train) => {
        train.primaryLr(0.1);
        train.secondaryLr(0.1);
        train.modelUpdateConf({ adamConf: { beta1: 0.8, do_bias_correction: true } });
      },
      () => new flow.optimizer.Adam(schedule, { beta1: 0.8, doBiasCorrection: true }),
    ],
  ];
  for (const [set, optimizer] of cases) {
    const [old, current] = await trained(set, optimizer);
    expect(old.data).toEqual(current.data);
    expect(old.data[0]).not.toBe(1);
  }
});

test("every documented setter is there: taken without effect, or honoured; wrong ones are named", async () => {
  const config = new flow.FunctionConfig();
  config.enableCudnn(true);
  config.useXlaJit();
  config.cudnnConvHeuristicSearchAlgo(false);
  config.concurrencyWidth(128);
  config.enableReusedMem();
  config.tensorrt.useFp16();
  const { staticMemAllocPolicyWhiteList: white } = config;
  white.add(white.policyTimeLine());
  expect([white.has("use_time_line_algo"), white.has(white.policyMemSizeFirst())]).toEqual([true, false]);
  white.remove("use_time_line_algo");
  expect(white.has("use_time_line_algo")).toBe(false);
  expect(config.staticMemAllocAlgoWhiteList.show()).toHaveLength(3);
  expect(await config).toBe(config); // no `then`
  const loose = config as unknown as Record<string, (value?: unknown) => void>;
  const message = async (fn: () => unknown) => (await failure(fn)).message;
  expect(await message(() => loose.defaultDatatype)).toContain(
    "unknown setter 'defaultDatatype'; did you mean 'defaultDataType'?",
  );
  expect(await message(() => (config.train as never as Record<string, unknown>).primaryLR)).toContain(
    "did you mean 'primaryLr'?",
  );
  expect(await message(() => loose.defaultDataType!("float23"))).toContain("got 'float23', expected a dtype");
  expect(await message(() => loose.defaultLogicalView!("mirrored"))).toContain("expected flow.scope.consistentView()");
  expect(await message(() => loose.defaultPlacementScope!("cpu"))).toContain("expected flow.scope.placement");
  expect(await message(() => config.train.primaryLr(-1))).toContain("got -1, expected a positive number");
  config.train.primaryLr(0.1);
  expect((await failure(() => config.train.secondaryLr(0.2))).code).toBe("E_UNSUPPORTED");
  config.train.modelUpdateConf({ lars_conf: {} });
  const declare = (functionConfig: unknown) =>
    failure(() => flow.globalFunction({ name: "x", functionConfig: functionConfig as never }, () => null));
  expect((await declare(config)).message).toContain(
    "'lars_conf' is not supported there; use a class of flow.optimizer",
  );
  expect((await declare({})).message).toContain("functionConfig is an object, expected flow.functionConfig()");
});
