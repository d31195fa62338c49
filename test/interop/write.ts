// Writes model files for check.py into the folder given: tsx test/interop/write.ts FOLDER
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { bytesOf, type Tensor } from "#src/core/tensor.js";

const folder = process.argv[2]!;
mkdirSync(folder, { recursive: true });

/** What the other side must find: dtype, shape, bytes in hex, by name. */
const manifest = (arrays: ReadonlyMap<string, flow.NdArray>): string =>
  JSON.stringify(
    Object.fromEntries(
      [...arrays].map(([name, array]) => [
        name,
        { dtype: array.dtype, shape: array.shape, hex: Buffer.from(bytesOf(array as Tensor)).toString("hex") },
      ]),
    ),
  );

const halves = new flow.NdArray(Float32Array.of(1.5, -2, 65504, 6e-8, Infinity, -0), [3, 2], "float16");
const arrays = new Map<string, flow.NdArray>([
  ["b", new flow.NdArray(Uint8Array.of(1, 0, 1), [3], "bool")],
  ["f2", halves],
  ["f4", new flow.NdArray(Float32Array.of(1.5, Number.NaN, Infinity, 1e-45), [2, 2])],
  ["f8", new flow.NdArray(Float64Array.of(Math.PI, -0, 5e-324), [3])],
  ["i1", new flow.NdArray(Int8Array.of(-128, 127), [2])],
  ["i4", new flow.NdArray(Int32Array.of(-(2 ** 31), 2 ** 31 - 1), [1, 2])],
  ["i8", new flow.NdArray(BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n), [2])],
  ["u1", new flow.NdArray(Uint8Array.of(0, 255), [2, 1])],
  [
    "large",
    new flow.NdArray(
      Float32Array.from({ length: 700_000 }, (_, i) => Math.sin(i)),
      [700, 1000],
    ),
  ],
  [
    "rank-5",
    new flow.NdArray(
      Int32Array.from({ length: 32 }, (_, i) => i),
      [2, 2, 2, 2, 2],
    ),
  ],
  ["dense1-weight", new flow.NdArray(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3])],
]);
writeFileSync(join(folder, "arrays.json"), manifest(arrays));
await flow.formats.write(join(folder, "arrays.safetensors"), arrays);
await flow.formats.write(join(folder, "arrays.npz"), arrays);

const kernelInitializer = flow.truncatedNormal(0.1);
const lenet = (images: flow.Blob): flow.Blob => {
  const pool = (x: flow.Blob, name: string): flow.Blob => flow.nn.maxPool2d(x, 2, 2, "SAME", { name });
  const activation = flow.nn.relu;
  const conv1 = flow.layers.conv2d(images, 32, 5, { padding: "SAME", activation, kernelInitializer, name: "conv1" });
  const conv2 = flow.layers.conv2d(pool(conv1, "pool1"), 64, 5, {
    padding: "SAME",
    activation,
    kernelInitializer,
    name: "conv2",
  });
  const flat = flow.reshape(pool(conv2, "pool2"), [images.shape[0]!, -1]);
  const hidden = flow.layers.dense(
    flow.nn.dropout(flow.layers.dense(flat, 64, { activation, kernelInitializer, name: "dense1" }), 0.5),
    10,
    {
      kernelInitializer,
      name: "dense2",
    },
  );
  return flow.nn.softmax(hidden);
};
const mlp = (images: flow.Blob): flow.Blob => {
  const hidden = flow.layers.dense(images, 512, { activation: flow.nn.relu, kernelInitializer, name: "dense1" });
  return flow.layers.dense(hidden, 10, { kernelInitializer, name: "dense2" });
};
const attention = (x: flow.Blob): flow.Blob => {
  const [batch, length, width] = x.shape as [number, number, number];
  const project = (name: string): flow.Blob => {
    const weight = flow.getVariable(`${name}-weight`, { shape: [width, width], initializer: kernelInitializer });
    const rows = flow.matmul(flow.reshape(x, [-1, width]), weight);
    return flow.transpose(flow.reshape(rows, [batch, length, 2, width / 2]), { perm: [0, 2, 1, 3] });
  };
  const scores = flow.matmul(project("query"), project("key"), { transposeB: true }).mul(1 / Math.sqrt(width / 2));
  const mixed = flow.transpose(flow.matmul(flow.nn.softmax(scores), project("value")), { perm: [0, 2, 1, 3] });
  const hidden = flow.math.gelu(flow.reshape(mixed, [-1, width]));
  return flow.layers.layerNorm(hidden, { beginNormAxis: -1, beginParamsAxis: -1, name: "norm" });
};
const wide = (x: flow.Blob): flow.Blob => {
  const y = flow.math.reduceMax(x, { axis: 1, keepdims: true });
  return flow.math.erf(x.sub(y)).add(flow.math.reduceMin(x, { axis: 1, keepdims: true }));
};
const models: Readonly<
  Record<string, readonly [(x: flow.Blob) => flow.Blob, readonly number[], "float32" | "float64"]>
> = {
  lenet: [lenet, [8, 1, 28, 28], "float32"],
  mlp: [mlp, [8, 784], "float32"],
  attention: [attention, [2, 6, 16], "float32"],
  wide: [wide, [4, 5], "float64"],
};
const wave = (shape: readonly number[], dtype: "float32" | "float64"): flow.NdArray => {
  const size = shape.reduce((product, d) => product * d, 1);
  const data = dtype === "float32" ? new Float32Array(size) : new Float64Array(size);
  return new flow.NdArray(data.map((_, i) => Math.sin(i)) as Float32Array<ArrayBuffer>, shape, dtype as "float32");
};
for (const [name, [model, shape, dtype]] of Object.entries(models)) {
  for (const opset of [17, 21]) {
    flow.config.seed(7);
    const job = flow.globalFunction({ name, returns: tp.Numpy }, [tp.Numpy.Placeholder(shape, { dtype })], model);
    const checkPoint = new flow.train.CheckPoint();
    await checkPoint.init();
    const input = wave(shape, dtype);
    const output = await job(input as never);
    const label = `${name}-${opset}`;
    await flow.onnx.export(job, join(folder, `${label}.onnx`), { opset });
    await flow.formats.write(join(folder, `${label}.safetensors`), { input, output });
    await flow.clearDefaultSession();
  }
}

/** Rows of a table, their labels' losses, and sums that only 64 bits hold. */
const lookup = (ids: flow.Blob, labels: flow.Blob, counts: flow.Blob) => {
  const rows = flow.gather(flow.getVariable("table", { shape: [20, 5], initializer: kernelInitializer }), ids);
  return {
    rows,
    loss: flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, rows),
    sums: counts.add(flow.cast(ids, "int64")),
    larger: flow.cast(flow.math.greater(ids, labels), "int32"),
  };
};
const { Placeholder } = tp.Numpy;
const saved: Readonly<Record<string, () => { readonly job: flow.Job<never, unknown>; readonly inputs: object }>> = {
  lenet: () => ({
    job: flow.globalFunction(
      { name: "lenet", returns: { probabilities: tp.Numpy } },
      [Placeholder([8, 1, 28, 28])],
      (x) => ({
        probabilities: lenet(x),
      }),
    ) as never,
    inputs: { images: wave([8, 1, 28, 28], "float32") },
  }),
  mlp: () => ({
    job: flow.globalFunction({ name: "mlp", returns: { logits: tp.Numpy } }, [Placeholder([8, 784])], (x) => ({
      logits: mlp(x),
    })) as never,
    inputs: { images: wave([8, 784], "float32") },
  }),
  lookup: () => ({
    job: flow.globalFunction(
      { name: "lookup", returns: { rows: tp.Numpy, loss: tp.Numpy, sums: tp.Numpy, larger: tp.Numpy } },
      [
        Placeholder([3], { dtype: "int32" }),
        Placeholder([3], { dtype: "int32" }),
        Placeholder([3], { dtype: "int64" }),
      ],
      lookup,
    ) as never,
    inputs: {
      ids: new flow.NdArray(Int32Array.of(19, 0, 7), [3]),
      labels: new flow.NdArray(Int32Array.of(4, 0, 2), [3]),
      counts: new flow.NdArray(BigInt64Array.of(2n ** 31n - 1n, 5n, 0n), [3]),
    },
  }),
};
for (const [name, make] of Object.entries(saved)) {
  flow.config.seed(7);
  const { job, inputs } = make();
  await new flow.train.CheckPoint().init();
  const outputs = await (job as unknown as (...feeds: unknown[]) => Promise<Record<string, flow.NdArray>>)(
    ...Object.values(inputs),
  );
  const path = join(folder, `${name}.saved_model`);
  await flow.savedModel.export(job, path, { inputs: Object.keys(inputs), outputs: Object.keys(outputs) });
  await flow.formats.write(join(folder, `${name}.inputs.safetensors`), inputs as Record<string, flow.NdArray>);
  await flow.formats.write(join(folder, `${name}.outputs.safetensors`), outputs);
  await flow.clearDefaultSession();
}
