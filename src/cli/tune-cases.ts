import { streamOf } from "../core/rng.js";
import type { Tensor } from "../core/tensor.js";
import type { Engine, EngineOptions } from "../engines/engine.js";
import * as flow from "../index.js";
import { sample } from "../initializers/initializer.js";
import { compile } from "../job/compile.js";
import { declarationOf } from "../job/global-function.js";
import { traceJob } from "../job/trace-job.js";
import { VariableRegistry } from "../variables/registry.js";

/** A training step that stands for many. */
export interface TuneCase {
  readonly name: string;
  /** Shape of the float32 input, batch first; labels are int32[labels] below 8. */
  readonly input: readonly number[];
  readonly labels: number;
  readonly logits: (x: flow.Blob) => flow.Blob;
}

const initializer = flow.randomUniformInitializer(-0.05, 0.05);
const dense = (x: flow.Blob, units: number, name: string): flow.Blob =>
  flow.layers.dense(x, units, { name, kernelInitializer: initializer });

function lenet(x: flow.Blob): flow.Blob {
  const conv = (image: flow.Blob, filters: number, name: string): flow.Blob => {
    const options = { padding: "SAME", activation: flow.nn.relu, kernelInitializer: initializer, name } as const;
    return flow.nn.maxPool2d(flow.layers.conv2d(image, filters, 5, options), 2, 2, "SAME");
  };
  const flat = flow.reshape(conv(conv(x, 32, "conv1"), 64, "conv2"), [x.shape[0]!, -1]);
  return dense(flow.nn.relu(dense(flat, 512, "dense1")), 10, "dense2");
}

/** A block of a transformer on [batch, places, width], read at each place. */
function transformer(x: flow.Blob): flow.Blob {
  const [batch, places, width] = x.shape as [number, number, number];
  const heads = 4;
  const flat = flow.reshape(x, [batch * places, width]);
  const split = (name: string): flow.Blob =>
    flow.transpose(flow.reshape(dense(flat, width, name), [batch, places, heads, width / heads]), {
      perm: [0, 2, 1, 3],
    });
  const scores = flow.matmul(split("query"), split("key"), { transposeB: true }).mul(1 / Math.sqrt(width / heads));
  const seen = flow.transpose(flow.matmul(flow.nn.softmax(scores), split("value")), { perm: [0, 2, 1, 3] });
  const mixed = flow.layers.layerNorm(dense(flow.reshape(seen, [batch * places, width]), width, "mix").add(flat), {
    name: "norm1",
  });
  const wide = flow.math.gelu(dense(mixed, 4 * width, "wide"));
  return flow.layers.layerNorm(dense(wide, width, "narrow").add(mixed), { name: "norm2" });
}

export const mlp: TuneCase = {
  name: "MLP 784-512-10, batch 100",
  input: [100, 784],
  labels: 100,
  logits: (x) => dense(flow.nn.relu(dense(x, 512, "dense1")), 10, "dense2"),
};
export const lenetOf = (batch: number): TuneCase => ({
  name: `LeNet, batch ${batch}`,
  input: [batch, 1, 28, 28],
  labels: batch,
  logits: lenet,
});
export const transformerBlock: TuneCase = {
  name: "transformer block 128, 8 x 64",
  input: [8, 64, 128],
  labels: 8 * 64,
  logits: transformer,
};

/** What a first step has computed: its loss, and each variable before and after it. */
export interface Proof {
  readonly loss: Tensor;
  readonly variables: ReadonlyMap<string, { readonly before: Tensor; readonly after: Tensor }>;
}

/** A case on an engine, from the same values everywhere. */
export interface Run {
  readonly proof: Proof;
  step(): Promise<void>;
  close(): Promise<void>;
}

/** Opens a case on an engine and makes its first step. */
export async function openCase(
  { input, labels, logits }: TuneCase,
  engine: Engine,
  options: EngineOptions,
): Promise<Run> {
  const job = flow.globalFunction(
    { type: "train", name: "tune", returns: flow.tp.Numpy },
    [flow.tp.Numpy.Placeholder(input), flow.tp.Numpy.Placeholder([labels], { dtype: flow.int32 })],
    (x, classes) => {
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(classes, logits(x));
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.05]), { momentum: 0 }).minimize(loss);
      return loss;
    },
  );
  const traced = traceJob(declarationOf("tune", job).declaration, [input, [labels]], new VariableRegistry());
  await flow.clearDefaultSession();
  const { whole, variables } = compile(traced, engine, { checkNumerics: false, variant: "" });
  const { native } = whole;
  const size = input.reduce((product, length) => product * length, 1);
  const feeds: Tensor[] = [
    { dtype: "float32", shape: input, data: Float32Array.from({ length: size }, (_, i) => Math.sin(i * 1.7)) },
    { dtype: "int32", shape: [labels], data: Int32Array.from({ length: labels }, (_, i) => (i * 7) % 8) },
  ];
  const session = await engine.open(options);
  try {
    await session.extend({ jobs: [native], variables: new Map(variables.map((spec) => [spec.name, spec])) });
    const before = new Map<string, Tensor>();
    for (const { name, initializer: first, shape, dtype } of variables) {
      const value = await sample(first, streamOf(1, "tune", name), shape, dtype);
      before.set(name, value);
      await session.write(name, value);
    }
    const [loss] = await session.run(native.name, feeds);
    const proof = new Map<string, { readonly before: Tensor; readonly after: Tensor }>();
    for (const [name, value] of before) proof.set(name, { before: value, after: await session.read(name) });
    return {
      proof: { loss: loss!, variables: proof },
      step: async () => void (await session.run(native.name, feeds)),
      close: () => session.close(),
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}

/**
 * What is wrong with a first step, by that of a trusted one: a loss 1e-4 off, or a variable off by a hundredth of its largest change;
 * undefined where nothing is.
 */
export function difference(got: Proof, trusted: Proof): string | undefined {
  const far = (a: Tensor, b: Tensor, allowed: number): boolean =>
    !Array.from(a.data as ArrayLike<number | bigint>, Number).every(
      (x, i) => Math.abs(x - Number(b.data[i])) <= allowed,
    );
  const largest = (values: readonly number[]): number => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const losses = Array.from(trusted.loss.data as ArrayLike<number>);
  if (far(got.loss, trusted.loss, 1e-4 * largest(losses))) return "its loss differs";
  for (const [name, { before, after }] of trusted.variables) {
    const changes = Array.from(after.data as ArrayLike<number | bigint>, (x, i) => Number(x) - Number(before.data[i]));
    if (far(got.variables.get(name)!.after, after, 0.01 * largest(changes) + 1e-7)) return `its ${name} differs`;
  }
  return undefined;
}
