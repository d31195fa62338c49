/** A layer every peer builds alike. Convolutions keep the size (padding SAME) and end in relu; pools halve it. */
export type Layer =
  | { readonly kind: "conv"; readonly filters: number; readonly kernel: number }
  | { readonly kind: "pool" }
  | { readonly kind: "dense"; readonly units: number; readonly relu: boolean };

/** A case: training by plain SGD on softmax cross entropy, or inference alone. */
export interface Case {
  readonly name: string;
  readonly title: string;
  readonly mode: "train" | "predict";
  /** Shape of an input, without the batch: [features] or [channels, height, width]. */
  readonly input: readonly number[];
  readonly layers: readonly Layer[];
  readonly batch: number;
  readonly learningRate: number;
  /** Scale of each variable's initial values, weight and bias in turn. */
  readonly scales: readonly number[];
  readonly positiveInputs: boolean;
  /** Why a peer is not asked. */
  readonly leftOut?: Readonly<Record<string, string>>;
}

const lenet: Pick<Case, "input" | "layers" | "learningRate" | "scales" | "positiveInputs"> = {
  input: [1, 28, 28],
  layers: [
    { kind: "conv", filters: 32, kernel: 5 },
    { kind: "pool" },
    { kind: "conv", filters: 64, kernel: 5 },
    { kind: "pool" },
    { kind: "dense", units: 512, relu: true },
    { kind: "dense", units: 10, relu: false },
  ],
  learningRate: 0.05,
  scales: [0.1, 0.01, 0.05, 0.01, 0.02, 0.01, 0.1, 0.01],
  positiveInputs: true,
};

export const cases: readonly Case[] = [
  {
    name: "mlp",
    title: "MLP 784-512-10, batch 100, SGD",
    mode: "train",
    input: [784],
    layers: [
      { kind: "dense", units: 512, relu: true },
      { kind: "dense", units: 10, relu: false },
    ],
    batch: 100,
    learningRate: 0.1,
    scales: [0.05, 0.01, 0.1, 0.01],
    positiveInputs: true,
  },
  {
    name: "tiny",
    title: "tiny: one dense layer of 10 units on [8, 10], SGD",
    mode: "train",
    input: [10],
    layers: [{ kind: "dense", units: 10, relu: false }],
    batch: 8,
    learningRate: 0.1,
    scales: [0.5, 0.1],
    positiveInputs: false,
  },
  {
    ...lenet,
    name: "lenet",
    title: "LeNet (without dropout, whose draws differ), batch 100, SGD",
    mode: "train",
    batch: 100,
    leftOut: {
      "tfjs wasm": "it has no kernel for the gradient of a filter",
      "tfjs cpu": "a step takes more than a minute",
    },
  },
  { ...lenet, name: "lenet-infer-100", title: "LeNet, inference, batch 100", mode: "predict", batch: 100 },
  { ...lenet, name: "lenet-infer-1", title: "LeNet, inference, batch 1", mode: "predict", batch: 1 },
];

/** Values that every language repeats to the bit: an integer hash of (tensor, element), scaled to [-scale, scale]. */
export function formula(tensor: number, length: number, scale: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, (_, i) => {
    let h = (Math.imul(i, 2654435761) + tensor * 40503 + 12345) >>> 0;
    h = (h ^ (h >>> 15)) >>> 0;
    h = Math.imul(h, 2246822519) >>> 0;
    h = (h ^ (h >>> 13)) >>> 0;
    return (((h % 20001) - 10000) / 10000) * scale;
  });
}

/** A case: training steps of a model of `bench/models` at full size on a fixed batch, without dropout, whose draws differ. */
export interface ModelCase {
  readonly name: string;
  readonly title: string;
  readonly mode: "train";
  /** Key of `bench/models`. */
  readonly model: string;
  readonly batch: number;
  /** Height and width of images, where the model has any and they are not its own. */
  readonly size?: number;
}

/** The full-size models that are measured by default. */
export const modelCases: readonly ModelCase[] = [
  {
    name: "transformer",
    title: "transformer (embedding + 2 layers, width 128), batch 32, 128 tokens, Adam",
    mode: "train",
    model: "transformer",
    batch: 32,
  },
  { name: "wdl", title: "Wide & Deep, 1,603,616 ids, batch 512, LazyAdam", mode: "train", model: "wdl", batch: 512 },
  {
    name: "resnet50-64",
    title: "ResNet50, 64 x 64, batch 8, SGD",
    mode: "train",
    model: "resnet50",
    batch: 8,
    size: 64,
  },
  { name: "resnet50", title: "ResNet50, 224 x 224, batch 8, SGD", mode: "train", model: "resnet50", batch: 8 },
  { name: "alexnet", title: "AlexNet, 224 x 224, batch 32, SGD", mode: "train", model: "alexnet", batch: 32 },
  { name: "bert", title: "BERT-base fine-tuning, 128 tokens, batch 4, Adam", mode: "train", model: "bert", batch: 4 },
];

/** More full-size models, which have no version in Python; measured where `--cases` names them. */
export const furtherCases: readonly ModelCase[] = [
  { name: "vgg", title: "VGG16, 224 x 224, batch 4, SGD", mode: "train", model: "vgg", batch: 4 },
  { name: "inceptionv3", title: "InceptionV3, 299 x 299, batch 4, SGD", mode: "train", model: "inceptionv3", batch: 4 },
  { name: "mobilenetv2", title: "MobileNetV2, 224 x 224, batch 8, SGD", mode: "train", model: "mobilenetv2", batch: 8 },
  { name: "dcgan", title: "DCGAN's discriminator, batch 32, Adam", mode: "train", model: "dcgan", batch: 32 },
];

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, d) => product * d, 1);

/** The shape after each layer, without the batch. */
function shapesOf({ input, layers }: Case): readonly (readonly number[])[] {
  const shapes: (readonly number[])[] = [];
  for (const layer of layers) {
    const [channels, height, width] = (shapes.at(-1) ?? input) as [number, number, number];
    if (layer.kind === "conv") shapes.push([layer.filters, height, width]);
    else if (layer.kind === "pool") shapes.push([channels, Math.ceil(height / 2), Math.ceil(width / 2)]);
    else shapes.push([layer.units]);
  }
  return shapes;
}

/** The fixed batch of a case. */
export function batchOf({ input, layers, batch, positiveInputs }: Case): {
  readonly images: Float32Array<ArrayBuffer>;
  readonly labels: Int32Array<ArrayBuffer>;
} {
  const images = formula(10, batch * sizeOf(input), 1);
  const last = layers.at(-1);
  const classes = last?.kind === "dense" ? last.units : 1;
  return {
    images: positiveInputs ? images.map(Math.abs) : images,
    labels: Int32Array.from({ length: batch }, (_, i) => i % classes),
  };
}

/** A variable's shape and first values: weight [out, in] or [out, in, h, w], and bias, of each layer in turn. */
export interface Weights {
  readonly layer: string;
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

export function weightsOf(benchCase: Case): readonly Weights[] {
  const shapes = shapesOf(benchCase);
  let tensor = 0;
  const next = (layer: string, shape: readonly number[]): Weights => {
    const scale = benchCase.scales[tensor]!;
    return { layer, shape, data: formula(tensor++, sizeOf(shape), scale) };
  };
  return benchCase.layers.flatMap((layer, i) => {
    const before = shapes[i - 1] ?? benchCase.input;
    if (layer.kind === "pool") return [];
    const name = `${layer.kind}${i + 1}`;
    const [out, shape] =
      layer.kind === "conv"
        ? [layer.filters, [layer.filters, before[0]!, layer.kernel, layer.kernel]]
        : [layer.units, [layer.units, sizeOf(before)]];
    return [next(name, shape), next(name, [out])];
  });
}

/** Floating-point operations of a step's products: forward, and in training the two gradients of each layer (the first needs no input gradient). */
export function flopsOf(benchCase: Case): number {
  const shapes = shapesOf(benchCase);
  return benchCase.layers.reduce((sum, layer, i) => {
    if (layer.kind === "pool") return sum;
    const before = shapes[i - 1] ?? benchCase.input;
    const products =
      layer.kind === "conv" ? sizeOf(shapes[i]!) * before[0]! * layer.kernel ** 2 : sizeOf(before) * layer.units;
    return sum + 2 * benchCase.batch * products * (benchCase.mode === "predict" ? 1 : i === 0 ? 2 : 3);
  }, 0);
}
