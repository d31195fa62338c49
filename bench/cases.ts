/** A training case every peer builds alike: dense layers with relu between, softmax cross entropy, plain SGD. */
export interface Case {
  readonly name: string;
  readonly title: string;
  /** Widths from input to output. */
  readonly widths: readonly number[];
  readonly batch: number;
  readonly learningRate: number;
  /** Scale of each variable's initial values, weight and bias in turn. */
  readonly scales: readonly number[];
  /** Scale of the inputs. */
  readonly positiveInputs: boolean;
  /** Steps of a round. */
  readonly steps: number;
}

export const cases: readonly Case[] = [
  {
    name: "mlp",
    title: "MLP 784-512-10, batch 100, SGD",
    widths: [784, 512, 10],
    batch: 100,
    learningRate: 0.1,
    scales: [0.05, 0.01, 0.1, 0.01],
    positiveInputs: true,
    steps: 100,
  },
  {
    name: "tiny",
    title: "tiny MLP 4-8-2, batch 8, SGD",
    widths: [4, 8, 2],
    batch: 8,
    learningRate: 0.1,
    scales: [0.5, 0.1, 0.5, 0.1],
    positiveInputs: false,
    steps: 500,
  },
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

/** The fixed batch of a case. */
export function batchOf({ widths, batch, positiveInputs }: Case): {
  readonly images: Float32Array<ArrayBuffer>;
  readonly labels: Int32Array<ArrayBuffer>;
} {
  const images = formula(10, batch * widths[0]!, 1);
  return {
    images: positiveInputs ? images.map(Math.abs) : images,
    labels: Int32Array.from({ length: batch }, (_, i) => i % widths.at(-1)!),
  };
}

/** The variables' first values: weight [out, in] and bias of each layer in turn. */
export function weightsOf({
  widths,
  scales,
}: Case): readonly { readonly shape: readonly number[]; readonly data: Float32Array<ArrayBuffer> }[] {
  return widths.slice(1).flatMap((out, layer) => {
    const width = widths[layer]!;
    return [
      { shape: [out, width], data: formula(2 * layer, out * width, scales[2 * layer]!) },
      { shape: [out], data: formula(2 * layer + 1, out, scales[2 * layer + 1]!) },
    ];
  });
}

/** Floating-point operations of a step's matrix products; the first layer needs no input gradient. */
export function flopsOf({ widths, batch }: Case): number {
  return widths.slice(1).reduce((sum, out, layer) => sum + 2 * batch * widths[layer]! * out * (layer === 0 ? 2 : 3), 0);
}
