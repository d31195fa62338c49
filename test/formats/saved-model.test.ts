import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { afterEach, describe, expect, test } from "vitest";
import { candidates } from "#src/engines/tensorflow/session/tfjs-node.js";
import { isReady } from "../engines/ready.js";
import { type Info, readSavedModel } from "../engines/tensorflow/read-saved-model.js";
import { failure, scratch } from "./support.js";

afterEach(() => flow.clearDefaultSession());

const kernelInitializer = flow.truncatedNormal(0.1);
const predict = (name = "predict_job") =>
  flow.globalFunction(
    { name, returns: { probabilities: tp.Numpy, total: tp.Numpy } },
    [tp.Numpy.Placeholder([4, 3, 8, 8]), tp.Numpy.Placeholder([4], { dtype: flow.int64 })],
    (images, counts) => {
      const conv = flow.layers.conv2d(images, 8, 3, { padding: "SAME", kernelInitializer, name: "conv1" });
      const pooled = flow.reshape(flow.nn.maxPool2d(conv, 2, 2, "SAME", { name: "pool1" }), [4, -1]);
      const logits = flow.layers.dense(pooled, 5, { kernelInitializer, name: "dense1" });
      return { probabilities: flow.nn.softmax(logits), total: counts.add(counts) };
    },
  );
const images = Float32Array.from({ length: 4 * 3 * 8 * 8 }, (_, i) => Math.sin(i));
const counts = BigInt64Array.of(1n, -2n, 2n ** 53n + 1n, 0n);

const read = (dir: string) => readSavedModel(readFileSync(join(dir, "saved_model.pb")));
const port = ({ dtype, tensorShape }: Info) => [dtype, ...tensorShape.dim.map(({ size }) => size)];

/** Results of a SavedModel's signature by the bare binding, in a process of its own: float32 and int64 by name. */
function runModel(dir: string, feeds: Readonly<Record<string, readonly [number, readonly number[], ArrayBufferView]>>) {
  const { inputs, outputs } = read(dir).signatures.serving_default!;
  const { binding } = candidates().find(({ built }) => built)!;
  const program = `
    const tf = require(${JSON.stringify(binding)});
    const model = tf.loadSavedModel(${JSON.stringify(dir)}, "serve");
    const ids = ${JSON.stringify(
      Object.values(feeds).map(([code, shape, { buffer }]) => [
        code,
        shape,
        Buffer.from(buffer as ArrayBuffer).toString("base64"),
      ]),
    )}.map(([code, shape, text]) => {
      const bytes = Uint8Array.from(Buffer.from(text, "base64")).buffer;
      return tf.createTensor(shape, code, code === 1 ? new Float32Array(bytes) : new Int32Array(bytes));
    });
    const results = tf.runSavedModel(model, ids, ${JSON.stringify(
      Object.keys(feeds)
        .map((name) => inputs[name]!.name)
        .join(),
    )},
      ${JSON.stringify(
        Object.values(outputs)
          .map(({ name }) => name)
          .join(),
      )});
    console.log(JSON.stringify(results.map(({ id }) => Array.from(tf.tensorDataSync(id), String))));`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--eval", program], {
    encoding: "utf8",
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "3" },
  });
  expect([status, status === 0 ? "" : stderr]).toEqual([0, ""]);
  const values = JSON.parse(stdout) as readonly (readonly string[])[];
  return new Map(Object.keys(outputs).map((name, i) => [name, values[i]!]));
}

describe("savedModel.export", () => {
  test("a signature of named, typed and shaped values, and nothing that a client lacks", async () => {
    const folder = scratch();
    const dir = join(folder, "model");
    const job = predict();
    await new flow.train.CheckPoint().init();
    await flow.savedModel.export(job, dir, { inputs: ["images", "counts"], outputs: ["probabilities", "total"] });
    const { tags, nodes, signatures } = read(dir);
    expect([tags, Object.keys(signatures)]).toEqual([["serve"], ["serving_default"]]);
    const { inputs, outputs, methodName } = signatures.serving_default!;
    expect(methodName).toBe("tensorflow/serving/predict");
    // types.proto: float32 is 1, int64 is 9.
    expect(Object.entries(inputs).map(([name, info]) => [name, ...port(info)])).toEqual([
      ["images", 1, 4, 3, 8, 8],
      ["counts", 9, 4],
    ]);
    expect(Object.entries(outputs).map(([name, info]) => [name, ...port(info)])).toEqual([
      ["probabilities", 1, 4, 5],
      ["total", 9, 4],
    ]);
    const names = nodes.map(({ name }) => `${name}:0`);
    for (const info of [...Object.values(inputs), ...Object.values(outputs)]) expect(names).toContain(info.name);
    expect(nodes.filter(({ op }) => /Variable|VarHandle|Assign/.test(op))).toEqual([]);
    for (const variable of ["conv1-weight", "conv1-bias", "dense1-weight", "dense1-bias"])
      expect(nodes.filter(({ name, op }) => op === "Const" && name.includes(`/${variable}/`))).toHaveLength(1);
    expect([readdirSync(folder), readdirSync(dir)]).toEqual([["model"], ["saved_model.pb"]]);
  });

  test.runIf(isReady("tensorflow"))(
    "TensorFlow gives our numbers from it, with the weights of a checkpoint",
    async () => {
      const folder = scratch();
      flow.config.seed(3);
      const job = predict();
      const checkPoint = new flow.train.CheckPoint();
      await checkPoint.init();
      await checkPoint.save(join(folder, "m"));
      const ours = await job(images, counts);
      await flow.clearDefaultSession();
      mkdirSync(join(folder, "model"));
      await flow.savedModel.export(predict(), join(folder, "model"), { modelDir: join(folder, "m") });
      const theirs = runModel(join(folder, "model"), {
        input_0: [1, [4, 3, 8, 8], images],
        input_1: [9, [4], counts],
      });
      for (const [i, value] of theirs.get("output_0")!.entries())
        expect(Math.abs(Number(value) - Number(ours.probabilities.data[i]))).toBeLessThan(1e-6);
      expect(theirs.get("output_0")).toHaveLength(20);
      expect(theirs.get("output_1")).toEqual(["2", "-4", String(2n ** 54n + 2n), "0"]);
    },
  );

  test("needs no TensorFlow, only the package", () => {
    const cwd = scratch();
    const source = `
      import * as flow from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
      const job = flow.globalFunction({ name: "job", returns: flow.tp.Numpy }, [flow.tp.Numpy.Placeholder([2])], (x) => x.add(1));
      await flow.savedModel.export(job, "model");
      console.log("written");`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", source], {
      encoding: "utf8",
      cwd,
      env: { ...process.env, ONESTEP_CACHE: scratch(), ONESTEP_ENGINE: "reference" },
    });
    expect([stdout, stderr]).toEqual(["written\n", ""]);
    expect(Object.keys(read(join(cwd, "model")).signatures.serving_default!.inputs)).toEqual(["input"]);
  });

  test("arguments that no result needs are left out, and variables called as nodes of TensorFlow are told apart", async () => {
    const dir = join(scratch(), "model");
    const job = flow.globalFunction(
      { name: "+job+", returns: tp.Numpy },
      [tp.Numpy.Placeholder([2, 3]), tp.Numpy.Placeholder([2], { dtype: flow.int32 }), tp.Numpy.Placeholder([1])],
      (logits, labels) => {
        const bias = flow.getVariable("logits+Add", { shape: [3], initializer: flow.constantInitializer(3) });
        const other = flow.getVariable("logits_Add", { shape: [3], initializer: flow.constantInitializer(3) });
        return flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits.add(bias).mul(other));
      },
    );
    await new flow.train.CheckPoint().init();
    await flow.savedModel.export(job, dir, { inputs: ["the logits", "labels", "unused"] });
    const { nodes, signatures } = read(dir);
    expect(Object.keys(signatures.serving_default!.inputs)).toEqual(["the logits", "labels"]);
    expect(new Set(nodes.map(({ name }) => name)).size).toBe(nodes.length);
    for (const { name } of nodes) expect(name).toMatch(/^[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*$/);
  });

  test("says what cannot be exported, and leaves nothing behind", async () => {
    const folder = scratch();
    const dir = join(folder, "model");
    const job = predict();
    const train = flow.globalFunction(
      { type: "train", name: "train_job", returns: tp.Numpy },
      [tp.Numpy.Placeholder([4, 3])],
      (x) => {
        const loss = flow.layers.dense(x, 5, { kernelInitializer, name: "dense2" });
        new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1])).minimize(loss);
        return loss;
      },
    );
    const drawing = flow.globalFunction({ name: "drawing", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) =>
      flow.nn.dropout(x, 0.5, { name: "drop" }),
    );
    const counting = flow.globalFunction({ name: "counting", returns: tp.Numpy }, () => {
      const count = flow.getVariable("count", { shape: [1], initializer: flow.zerosInitializer() });
      flow.assign(count, count.add(1));
      return count;
    });
    const found = flow.globalFunction({ name: "found", returns: tp.Numpy }, [tp.Numpy.Placeholder([4])], (x) =>
      flow.argwhere(x, { name: "where" }),
    );
    const open = flow.globalFunction({ name: "open", returns: tp.Numpy }, [tp.Numpy.Placeholder([null, 2])], (x) => x);
    const say = async (task: () => Promise<void>): Promise<string> => (await failure(task)).message;
    const { export: exportTo } = flow.savedModel;
    expect(await say(() => exportTo(job, dir))).toMatch(
      /variable '.*' has no value; call init or load first, or pass \{ modelDir \} \[E_UNINITIALIZED\]/,
    );
    await new flow.train.CheckPoint().init();
    expect(await say(() => exportTo(train, dir))).toMatch(/it is a train job; export a predict job/);
    expect(await say(async () => exportTo((() => 1) as never, dir))).toMatch(/got a function, expected a job/);
    expect(await say(async () => exportTo(job, 5 as never))).toMatch(/the path is the number 5/);
    expect(await say(() => exportTo(job, ""))).toMatch(/the path is empty.*E_CKPT_DIR/);
    expect(await say(async () => exportTo(job, dir, { tags: [] } as never))).toMatch(/unknown option 'tags'/);
    expect(await say(() => exportTo(job, dir, { inputs: ["a"] }))).toMatch(/inputs is \['a'\], expected 2 names/);
    expect(await say(() => exportTo(job, dir, { outputs: ["x", "x"] }))).toMatch(
      /'x' would name two outputs.*E_DUPLICATE/,
    );
    expect(await say(() => exportTo(counting, dir))).toMatch(/updates variable 'count', an exported SavedModel has no/);
    expect(await say(() => exportTo(found, dir))).toMatch(
      /the size of 'where.*' depends on values, shapes in .* are fixed/,
    );
    expect(await say(() => flow.onnx.export(found, join(folder, "m.onnx")))).toMatch(/in an ONNX model are fixed/);
    expect(await say(() => exportTo(open, dir))).toMatch(/an argument is float32\[\?,2\], shapes in .* are fixed/);
    expect(await say(() => exportTo(job, join(folder, "none", "m")))).toMatch(/its parent '.*' does not exist/);
    expect(await say(() => exportTo(job, dir, { modelDir: join(folder, "none") }))).toMatch(/E_CKPT_DIR/);
    expect(readdirSync(folder)).toEqual([]);
    mkdirSync(dir);
    writeFileSync(join(dir, "mine"), "mine");
    expect(await say(() => exportTo(job, dir))).toMatch(/exists and is not empty, .*E_CKPT_EXISTS/);
    expect([readdirSync(folder), readdirSync(dir)]).toEqual([["model"], ["mine"]]);
    // In a predict job dropout does nothing; nothing is drawn.
    await exportTo(drawing, join(folder, "drawing"));
    await flow.clearDefaultSession();
    expect(await say(async () => exportTo(job, dir))).toMatch(/its session was closed by clearDefaultSession/);
  });

  test("what the host computes cannot be exported", async () => {
    const { hostOp } = await import("#src/ops/define.js");
    const { emit } = await import("#src/graph/trace.js");
    const { ops } = await import("#src/ops/index.js");
    const noise = hostOp("hostNoise", { infer: ([x]) => x!, grad: "stop", host: async ([x]) => [x!] });
    (ops as Record<string, unknown>).hostNoise = noise;
    try {
      const job = flow.globalFunction({ name: "noisy", returns: tp.Numpy }, [tp.Numpy.Placeholder([3])], (x) =>
        emit(noise, [x], {}, "noise").add(1),
      );
      const { code, message } = await failure(() => flow.savedModel.export(job, join(scratch(), "model")));
      expect([code, message]).toEqual([
        "E_UNSUPPORTED",
        "savedModel.export('noisy'): 'noise:0' is computed outside the model, which an exported SavedModel cannot say; export a job without it [E_UNSUPPORTED]",
      ]);
    } finally {
      delete (ops as Record<string, unknown>).hostNoise;
    }
  });
});
