import type { Tensor } from "../../core/tensor.js";
import { zeros } from "../../core/tensor.js";
import { encodeModel, type Port } from "./encode.js";
import { convolution } from "./lower/blocked.js";
import { Lowering } from "./lower/context.js";
import type { Runtime } from "./session/runtime.js";
import { readTuning } from "./tuning.js";

/** Sizes that onnxruntime's kernels have: AVX-512, AVX2 and the like. */
export const blockSizes = [16, 8];
const known = new WeakMap<Runtime, Promise<number | undefined>>();

/** The size that was asked for, else tuned, else found by probing; undefined for plain convolutions. */
export function chosenBlockSize(runtime: Runtime, asked = readTuning()?.blockSize): Promise<number | undefined> {
  return asked === undefined ? blockSize(runtime) : Promise.resolve(asked === 0 ? undefined : asked);
}

/**
 * How many channels onnxruntime's blocked convolutions keep together on this machine: the size with which one gives what the
 * plain kernel gives; undefined where none does. Found out once a process.
 */
export function blockSize(runtime: Runtime): Promise<number | undefined> {
  const found = known.get(runtime) ?? probe(runtime);
  known.set(runtime, found);
  return found;
}

async function probe(runtime: Runtime): Promise<number | undefined> {
  try {
    const plain = await convolve(runtime, undefined);
    for (const block of blockSizes) {
      const blocked = await convolve(runtime, block);
      if (plain.every((value, i) => Math.abs(value - blocked[i]!) < 1e-4)) return block;
    }
  } catch {
    // An onnxruntime without these kernels refuses the model.
  }
  return undefined;
}

/** 32 to 32 channels of 64 by 64 places, 1 by 3 taps, of values that no wrong order repeats. */
async function convolve(runtime: Runtime, block: number | undefined): Promise<Float32Array> {
  const port = (name: string, shape: readonly number[]): Port => ({ name, dtype: "float32", shape });
  const ports = { x: port("x", [1, 32, 64, 64]), w: port("w", [32, 32, 1, 3]), y: port("y", [1, 32, 64, 64]) };
  const to = new Lowering(block);
  const result = convolution(
    to,
    ["x", "w"],
    { kernel: [1, 3], strides: [1, 1], dilations: [1, 1], pads: [0, 1, 0, 1], groups: 1 },
    { input: ports.x.shape, filters: ports.w.shape, output: ports.y.shape },
  );
  to.nodes.push({ op: "Identity", name: "output", inputs: [result], outputs: ["y"], attributes: {} });
  const bytes = await encodeModel({
    name: "probe",
    inputs: [ports.x, ports.w],
    outputs: [ports.y],
    initializers: to.initializers,
    nodes: to.nodes,
  });
  const model = await runtime.load(bytes, [ports.x, ports.w], [ports.y], { threads: 1 });
  const tensors = [ports.x, ports.w, ports.y].map(({ shape }) => zeros("float32", shape)) as Tensor<"float32">[];
  const [x, w, y] = tensors as [Tensor<"float32">, Tensor<"float32">, Tensor<"float32">];
  x.data.forEach((_, i) => {
    x.data[i] = Math.sin(i * 1.3);
  });
  w.data.forEach((_, i) => {
    w.data[i] = Math.cos(i * 0.7) / 10;
  });
  const values = tensors.map((tensor) => runtime.value(tensor));
  try {
    await model.run(values.slice(0, 2), values.slice(2));
  } finally {
    for (const value of values) value.release();
    model.release();
  }
  return y.data;
}
