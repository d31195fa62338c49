import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterEach, describe, expect, test } from "vitest";
import { failure, scratch } from "./support.js";

afterEach(() => flow.clearDefaultSession());

const kernelInitializer = flow.truncatedNormal(0.1);

/** Convolution, pooling, products of every rank, gelu, softmax, reductions, gather: what needs care in older operator sets. */
function model(images: flow.Blob): {
  readonly probabilities: flow.Blob;
  readonly largest: flow.Blob;
  readonly picked: flow.Blob;
} {
  const conv = flow.layers.conv2d(images, 8, 3, {
    padding: "SAME",
    activation: flow.nn.relu,
    kernelInitializer,
    name: "conv1",
  });
  const pooled = flow.nn.avgPool2d(flow.nn.maxPool2d(conv, 2, 2, "SAME", { name: "pool1" }), 2, 2, "VALID");
  const hidden = flow.layers.dense(flow.reshape(pooled, [4, -1]), 12, {
    activation: flow.math.gelu,
    kernelInitializer,
    name: "dense1",
  });
  const rows = flow.reshape(hidden, [4, 3, 4]);
  const product = flow.matmul(rows, rows, { transposeB: true });
  const logits = flow.layers.dense(flow.reshape(product, [4, -1]), 5, { kernelInitializer, name: "dense2" });
  const normal = flow.layers.layerNorm(logits, { beginNormAxis: -1, beginParamsAxis: -1, name: "norm" });
  return {
    probabilities: flow.nn.softmax(normal),
    largest: flow.math.reduceMax(logits, { axis: 1 }),
    picked: flow.gather(logits, flow.constant(1, { dtype: flow.int32, shape: [2] }), { axis: 1 }),
  };
}
const images = Float32Array.from({ length: 4 * 3 * 8 * 8 }, (_, i) => Math.sin(i));
const predict = (name = "predict_job") =>
  flow.globalFunction(
    { name, returns: { probabilities: tp.Numpy, largest: tp.Numpy, picked: tp.Numpy } },
    [tp.Numpy.Placeholder([4, 3, 8, 8])],
    model,
  );

async function runModel(path: string): Promise<Record<string, number[]>> {
  const session = await InferenceSession.create(path);
  const outputs = await session.run({ [session.inputNames[0]!]: new Tensor("float32", images, [4, 3, 8, 8]) });
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data as Float32Array)]),
  );
}
const close = (got: readonly number[], expected: flow.NdArray["data"]): void => {
  expect(got.length).toBe(expected.length);
  for (const [i, value] of got.entries()) expect(Math.abs(value - Number(expected[i]))).toBeLessThan(1e-6);
};

describe("onnx.export", () => {
  for (const opset of [17, 18, 21])
    test(`opset ${opset}: plain onnxruntime gives our numbers`, async () => {
      const folder = scratch();
      const job = predict();
      await new flow.train.CheckPoint().init();
      const path = join(folder, "model.onnx");
      await flow.onnx.export(job, path, { outputs: ["probabilities", "largest", "picked"], opset });
      const ours = await job(images);
      const theirs = await runModel(path);
      close(theirs.probabilities!, ours.probabilities.data);
      close(theirs.largest!, ours.largest.data);
      close(theirs.picked!, ours.picked.data);
      const bytes = readFileSync(path).toString("latin1");
      expect(bytes).not.toContain("com.microsoft");
      for (const name of ["conv1-weight", "dense2-bias", "norm-gamma", "pool1/MaxPool", "input"])
        expect(bytes).toContain(name);
      expect(readdirSync(folder)).toEqual(["model.onnx"]);
    });

  test("takes the weights of a checkpoint, whatever the session holds, and replaces a file", async () => {
    const folder = scratch();
    const job = predict();
    const checkPoint = new flow.train.CheckPoint();
    await checkPoint.init();
    await checkPoint.save(join(folder, "m"));
    const ours = await job(images);
    await flow.clearDefaultSession();
    const again = predict();
    const path = join(folder, "model.onnx");
    writeFileSync(path, "an older one");
    await flow.onnx.export(again, path, { modelDir: join(folder, "m"), inputs: ["pixels"] });
    const theirs = await runModel(path);
    close(theirs.output_0!, ours.probabilities.data);
    expect((await InferenceSession.create(path)).inputNames).toEqual(["pixels"]);
  });

  test("leaves arguments out that no result needs, and the check of labels", async () => {
    const path = join(scratch(), "model.onnx");
    const job = flow.globalFunction(
      { name: "loss_job", returns: tp.Numpy },
      [tp.Numpy.Placeholder([2, 3]), tp.Numpy.Placeholder([2], { dtype: flow.int32 }), tp.Numpy.Placeholder([1])],
      (logits, labels) => flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits),
    );
    const logits = new Float32Array([1, 2, 3, 3, 2, 1]);
    const ours = await job(logits, [2, 2], [0]);
    await flow.onnx.export(job, path, { inputs: ["logits", "labels", "unused"], outputs: ["loss"] });
    const session = await InferenceSession.create(path);
    expect(session.inputNames).toEqual(["logits", "labels"]);
    expect(session.outputNames).toEqual(["loss"]);
    const { loss } = await session.run({
      logits: new Tensor("float32", logits, [2, 3]),
      labels: new Tensor("int32", new Int32Array([2, 2]), [2]),
    });
    close(Array.from(loss!.data as Float32Array), ours.data);
  });

  test("a variable called as a value in between keeps its name", async () => {
    const path = join(scratch(), "model.onnx");
    const job = flow.globalFunction({ name: "job", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) => {
      const v0 = flow.getVariable("v0", { shape: [2], initializer: flow.constantInitializer(3) });
      const c0 = flow.getVariable("c0", { shape: [2], initializer: flow.constantInitializer(5) });
      return flow.math.sqrt(x.mul(v0).add(c0)).mul(2);
    });
    await new flow.train.CheckPoint().init();
    await flow.onnx.export(job, path);
    const session = await InferenceSession.create(path);
    const { output } = await session.run({ input: new Tensor("float32", new Float32Array([1, 2]), [2]) });
    close(Array.from(output!.data as Float32Array), Float64Array.of(2 * Math.sqrt(8), 2 * Math.sqrt(11)));
  });

  test("says what cannot be exported", async () => {
    const folder = scratch();
    const path = join(folder, "model.onnx");
    const job = predict();
    const train = flow.globalFunction(
      { type: "train", name: "train_job", returns: tp.Numpy },
      [tp.Numpy.Placeholder([4, 3, 8, 8])],
      (x) => {
        const loss = model(x).largest;
        new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1]), { momentum: 0 }).minimize(
          loss,
        );
        return loss;
      },
    );
    const say = async (task: () => Promise<void>): Promise<string> => (await failure(task)).message;
    expect(await say(() => flow.onnx.export(job, path))).toMatch(
      /variable '.*' has no value; call init or load first, or pass \{ modelDir \} \[E_UNINITIALIZED\]/,
    );
    await new flow.train.CheckPoint().init();
    expect(await say(() => flow.onnx.export(train, path))).toMatch(/it is a train job; export a predict job/);
    expect(await say(async () => flow.onnx.export((() => 1) as never, path))).toMatch(/got a function, expected a job/);
    expect(await say(async () => flow.onnx.export(job, ""))).toMatch(/the path is empty/);
    expect(await say(async () => flow.onnx.export(job, path, { opset: 16 }))).toMatch(
      /opset is 16, expected one of 17, 18, 19, 20, 21/,
    );
    expect(await say(async () => flow.onnx.export(job, path, { modelDirr: "x" } as never))).toMatch(
      /did you mean 'modelDir'/,
    );
    expect(await say(() => flow.onnx.export(job, path, { inputs: ["a", "b"] }))).toMatch(
      /inputs is \['a','b'\], expected 1 names/,
    );
    expect(await say(() => flow.onnx.export(job, path, { outputs: ["x", "x", "y"] }))).toMatch(
      /'x' would name two of the model's/,
    );
    expect(await say(() => flow.onnx.export(job, path, { inputs: ["conv1-weight"] }))).toMatch(
      /'conv1-weight' would name two/,
    );
    expect(await say(() => flow.onnx.export(job, join(folder, "none", "m.onnx")))).toMatch(
      /does not exist; create that directory first/,
    );
    expect(await say(() => flow.onnx.export(job, path, { modelDir: join(folder, "none") }))).toMatch(/E_CKPT_DIR/);
    expect(readdirSync(folder)).toEqual([]);
    await flow.clearDefaultSession();
    predict("other_job");
    expect(await say(() => flow.onnx.export(job, path))).toMatch(
      /its session was closed by clearDefaultSession; declare the job again/,
    );
  });
});
