import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test, vi } from "vitest";
import { failure } from "./support.js";

/** What `fn` gives and writes to stderr. */
function withStderr<T>(fn: () => T): { readonly result: T; readonly text: string } {
  const written: string[] = [];
  const spy = vi.spyOn(process.stderr, "write").mockImplementation((chunk) => {
    written.push(String(chunk));
    return true;
  });
  try {
    return { result: fn(), text: written.join("") };
  } finally {
    spy.mockRestore();
  }
}

const { config } = flow;
const counts = [
  "cpuDeviceNum",
  "gpuDeviceNum",
  "machineNum",
  "persistenceBufByte",
  "commNetWorkerNum",
  "maxMdsaveWorkerNum",
  "rdmaMemBlockMbyte",
  "rdmaRecvMsgBufMbyte",
  "reservedDeviceMemMbyte",
  "reservedHostMemMbyte",
] as const;
const flags = [
  "enableDebugMode",
  "enableModelIoV2",
  "saveDownloadedFileToLocalFs",
  "collectActEvent",
  "enableNumaAwareCudaMallocHost",
  "threadEnableLocalMessageQueue",
  "useRdma",
] as const;

test("config's setters check their value, and say so once the session runs", async () => {
  for (const name of counts) {
    expect(config[name](2)).toBe(true);
    expect((await failure(() => config[name](1.5))).message).toContain(`config.${name}: got 1.5, expected an integer`);
    expect((await failure(() => config[name](-1))).code).toBe("E_ARGUMENT");
  }
  for (const name of flags) {
    expect(config[name](true)).toBe(true);
    expect((await failure(() => config[name](1 as never))).message).toContain(`config.${name}: got the number 1`);
  }
  const boxing = config.collectiveBoxing;
  expect(Object.keys(boxing)).toHaveLength(11);
  expect([boxing.enableFusion(false), boxing.ncclNumStreams(2), boxing.ncclFusionMaxOps(64)]).toEqual([
    true,
    true,
    true,
  ]);
  expect((await failure(() => boxing.ncclFusionThresholdMb(0))).message).toContain(
    "config.collectiveBoxing.ncclFusionThresholdMb",
  );
  expect((await failure(() => config.loadLibrary("final_relu.so"))).message).toContain(
    "write the op with flow.registerOp",
  );

  expect((await failure(() => config.recompute("all" as never))).message).toBe(
    "config.recompute: got the string 'all', expected true or false [E_ARGUMENT]",
  );

  const job = flow.globalFunction({ name: "job", returns: tp.Numpy }, () => flow.constant(1, { dtype: flow.float }));
  await job();
  const { result, text } = withStderr(() => [config.gpuDeviceNum(1), config.useRdma(), flow.env.ctrlPort(9988)]);
  expect(result).toEqual([false, false, false]);
  expect(text).toBe(
    "Nothing happened because the session is running\n".repeat(2) +
      "Nothing happened because environment has been initialized\n",
  );
  for (const set of [
    () => config.seed(1),
    () => config.engine("onnx"),
    () => config.checkNumerics(true),
    () => config.recompute(true),
    () => config.computeThreadPoolSize(1),
  ])
    expect((await failure(set)).message).toContain("the session is running");
});

test("env: what is set is kept, checked, and fixed by init", () => {
  // A process of its own: the environment is one for the whole process.
  const program = `
    import * as flow from "onestep";
    const tried = (fn) => { try { return fn(); } catch (error) { return error.message; } };
    const { env } = flow;
    console.log(JSON.stringify([
      env.machine([{ addr: "192.0.2.1" }, "192.0.2.2"]), env.ctrlPort(9988), env.dataPort(9989), env.logDir("./logs"),
      env.logtostderr(1), env.logbuflevel(0), env.grpcUseNoSignal(),
      tried(() => env.machine("a", "a")), tried(() => env.machine()), tried(() => env.ctrlPort(0)),
      tried(() => env.logDir(3)), tried(() => env.logtostderr("x")),
      env.currentResource(), flow.currentResource().ctrlPort, flow.currentMachineId(),
      env.init(), env.init(), env.ctrlPort(1),
    ]));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
  });
  const answers = JSON.parse(stdout) as unknown[];
  expect(answers.slice(0, 7)).toEqual(Array(7).fill(true));
  expect(answers.slice(7, 12).join("\n")).toMatch(
    /'a' is named twice.*\n.*no machine is named.*\n.*got 0, expected a port.*\n.*got the number 3, expected a folder.*\n.*got 'x', expected an integer/,
  );
  expect(answers[12]).toEqual({
    machines: [{ addr: "192.0.2.1" }, { addr: "192.0.2.2" }],
    ctrlPort: 9988,
    dataPort: 9989,
    logDir: "./logs",
  });
  expect(answers.slice(13)).toEqual([9988, 0, true, false, false]);
  expect(stderr).toBe("Nothing happened because environment has been initialized\n".repeat(2));
});

test("eager mode: a job declared again and called at once; variables start by themselves", async () => {
  flow.enableEagerExecution(true);
  expect(flow.eagerExecutionEnabled()).toBe(true);
  let bias = 0;
  const main = (x: number): Promise<flow.NdArray> => {
    const job = flow.globalFunction(
      { type: "train", name: "train_job", returns: tp.Numpy },
      [tp.Numpy.Placeholder([1])],
      (blob) => {
        const w = flow.getVariable("w", { shape: [1], initializer: flow.onesInitializer() });
        const loss = w.mul(blob).add(bias);
        new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.5]), { momentum: 0 }).minimize(
          loss,
        );
        return loss;
      },
    );
    return job([x]);
  };
  expect((await main(1)).item()).toBe(1); // w = 1 - 0.5
  expect((await main(2)).item()).toBe(1); // w = 0.5 - 1
  bias = 10; // another graph under the same name, with the same variables
  expect((await main(1)).item()).toBe(9.5);
  expect((await failure(() => flow.enableEagerExecution(false))).message).toContain("jobs are declared already");
});

test("without eager mode a job in use cannot be declared again", async () => {
  const declare = () =>
    flow.globalFunction({ name: "job", returns: tp.Numpy }, () => flow.constant(1, { dtype: flow.float }));
  await declare()();
  const error = await failure(declare);
  expect(error.code).toBe("E_DUPLICATE");
  expect(error.message).toMatch(/job 'job' is in use since .*settings\.test\.ts:\d+:\d+/);
});

test("dtypes and their names", () => {
  expect(flow.dtypes()).toContain("int64");
  expect(flow.dtypes()).not.toContain("bool");
  expect(flow.convertOneflowDtypeToNumpyDtype(flow.double)).toBe("float64");
  expect(flow.char).toBe("int8");
});
