import * as flow from "onestep";
import type { Draw, Recorder } from "./recorder.js";

/** What a step of a model works with. */
export interface Scene {
  readonly rec: Recorder;
  readonly draw: Draw;
  /** Number of the step: part of names. */
  readonly index: number;
  readonly input: flow.Blob;
  /** int32, in [0, classes), one for each row. */
  readonly labels: flow.Blob;
  /** All values so far, axis 0 being the batch. */
  readonly blobs: readonly flow.Blob[];
  readonly dropout: boolean;
}

export const classes = 3;
const most = 300;
const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const perRow = (x: flow.Blob): number => sizeOf(x.shape.slice(1));

/** Adds one value to a model, made of `x`; nothing where the step does not fit x. Axis 0 stays the batch, and no variable depends on it. */
export type Step = (scene: Scene, x: flow.Blob) => flow.Blob | undefined;

const unary =
  (path: string, options?: object): Step =>
  ({ rec }, x) =>
    options === undefined ? rec.call(path, x) : rec.call(path, x, options);

/** Some initial values around 0, or just above it. */
const initializer = ({ draw }: Scene): flow.Initializer =>
  draw.from([
    flow.randomUniformInitializer(-0.6, 0.6),
    flow.randomNormalInitializer(0, 0.4),
    flow.truncatedNormal(0.5),
    flow.constantInitializer(0.3),
  ]);

const variable = (scene: Scene, suffix: string, shape: readonly number[], dtype: flow.DType): flow.Blob =>
  scene.rec.call("getVariable", `w${scene.index}${suffix}`, { shape, dtype, initializer: initializer(scene) });

const activation = ({ draw }: Scene): object =>
  draw.from([{}, { activation: flow.nn.relu }, { activation: flow.math.tanh }, { activation: flow.math.sigmoid }]);

const regularizer = ({ draw }: Scene): object =>
  draw.from([
    {},
    {},
    { kernelRegularizer: flow.regularizers.l2(0.01) },
    { kernelRegularizer: flow.regularizers.l1L2(0.01, 0.02) },
  ]);

/** x as `[batch, channels, height, width]`. */
function images({ rec, draw }: Scene, x: flow.Blob): flow.Blob {
  if (x.shape.length === 4) return x;
  const size = perRow(x);
  const divisor = (n: number): number =>
    draw.from(Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0));
  const channels = divisor(size);
  const height = divisor(size / channels);
  return rec.call("reshape", x, [-1, channels, height, size / channels / height]);
}

const window = (
  { draw }: Scene,
  x: flow.Blob,
  last = false,
): { kernel: number[]; strides: number; padding: unknown } => {
  const sizes = last ? x.shape.slice(1, 3) : x.shape.slice(2);
  const padding = draw.from<unknown>(["SAME", "VALID", "SAME_UPPER", "SAME_LOWER"]);
  return {
    kernel: sizes.map((size) => 1 + draw.below(Math.min(3, size))),
    strides: 1 + draw.below(2),
    padding,
  };
};

/** A later axis of x, or the last. */
const laterAxis = ({ draw }: Scene, x: flow.Blob): number =>
  x.shape.length === 1 ? 0 : 1 + draw.below(x.shape.length - 1);

const reduction =
  (path: string): Step =>
  (scene, x) => {
    if (x.shape.length < 2) return undefined;
    const axis = laterAxis(scene, x);
    const some = scene.draw.from([axis, axis - x.shape.length, [axis]]);
    return scene.rec.call(path, x, { axis: some, keepdims: scene.draw.once(2) });
  };

/** Another value of x's shape, or one that broadcasts to it. */
function partner(scene: Scene, x: flow.Blob): flow.Blob | number {
  const { draw, blobs } = scene;
  const fitting = blobs.filter(
    (y) =>
      y.dtype === x.dtype &&
      y.shape.length <= x.shape.length &&
      y.shape.every((d, i) => d === x.shape[x.shape.length - y.shape.length + i] || d === 1) &&
      (y.shape.length < x.shape.length ? y.shape[0] === 1 : true),
  );
  switch (draw.below(4)) {
    case 0:
      return draw.from([0.5, -1.25, 2]);
    case 1:
      return x.shape.length > 1
        ? variable(scene, "-operand", x.shape.slice(1), x.dtype)
        : variable(scene, "-operand", [1], x.dtype);
    default:
      return draw.from(fitting);
  }
}

const binary =
  (path: string): Step =>
  (scene, x) => {
    const y = partner(scene, x);
    return scene.draw.once(2) && typeof y !== "number" ? scene.rec.call(path, y, x) : scene.rec.call(path, x, y);
  };

/** By name, so that a failing program tells what it is made of. */
export const steps: readonly Step[] = [
  // Layers.
  (scene, x) => {
    if (x.shape.length < 2) return undefined;
    const { rec, draw, index } = scene;
    return rec.call("layers.dense", x, 1 + draw.below(5), {
      kernelInitializer: initializer(scene),
      useBias: !draw.once(4),
      ...activation(scene),
      ...regularizer(scene),
      name: `dense${index}`,
    });
  },
  (scene, x) => {
    const { rec, draw, index } = scene;
    const input = images(scene, x);
    const last = draw.once(4);
    const { kernel, strides, padding } = window(scene, input, last);
    const channels = input.shape[last ? 3 : 1]!;
    const groups = !last && draw.once(3) ? channels : 1;
    return rec.call("layers.conv2d", input, groups * (1 + draw.below(2)), kernel, {
      strides,
      padding,
      groups,
      ...(last ? { dataFormat: "NHWC" } : {}),
      ...(kernel.every((k) => k === 1) ? { dilationRate: 2 } : {}),
      kernelInitializer: initializer(scene),
      ...activation(scene),
      ...regularizer(scene),
      name: `conv${index}`,
    });
  },
  (scene, x) => {
    const input = images(scene, x);
    const last = scene.draw.once(4);
    const { kernel, strides, padding } = window(scene, input, last);
    const options = last ? [{ dataFormat: "NHWC" }] : [];
    return scene.rec.call(
      scene.draw.from(["nn.maxPool2d", "nn.avgPool2d"]),
      input,
      kernel,
      strides,
      padding,
      ...options,
    );
  },
  (scene, x) => {
    const { rec, draw } = scene;
    const input = images(scene, x);
    const [, channels, height, width] = input.shape as [number, number, number, number];
    const strides = 1 + draw.below(2);
    const out = 1 + draw.below(2);
    if (channels * height * width > 60) return undefined;
    const filter = variable(scene, "-filter", [channels, out, 2, 2], x.dtype);
    const size = (n: number): number => (n - 1) * strides + 2;
    return rec.call("nn.conv2dTranspose", input, filter, [input.shape[0]!, out, size(height), size(width)], {
      strides,
    });
  },
  ({ rec, draw, index }, x) =>
    x.shape.length < 2
      ? undefined
      : rec.call("layers.batchNormalization", x, {
          axis: draw.from([1, -1]),
          momentum: 0.9,
          epsilon: 0.01,
          scale: !draw.once(4),
          center: !draw.once(4),
          name: `bn${index}`,
        }),
  ({ rec, draw, index }, x) =>
    x.shape.length < 2
      ? undefined
      : rec.call("layers.layerNorm", x, {
          epsilon: 0.01,
          scale: !draw.once(4),
          center: !draw.once(4),
          name: `ln${index}`,
        }),
  ({ rec, dropout, index }, x) => (dropout ? rec.call("nn.dropout", x, 0.4, { name: `drop${index}` }) : undefined),
  // Elementwise.
  ...[
    "nn.relu",
    "math.tanh",
    "math.sigmoid",
    "math.softplus",
    "math.gelu",
    "math.logSigmoid",
    "math.sin",
    "math.cos",
  ].map((path) => unary(path)),
  ...["math.erf", "math.atan", "math.abs", "math.asinh", "math.negative", "nn.leakyRelu"].map((path) => unary(path)),
  ({ rec }, x) => rec.call("math.exp", rec.call("math.tanh", x)),
  ({ rec, draw }, x) =>
    rec.call(
      draw.from(["math.sqrt", "math.log", "math.rsqrt", "math.reciprocal", "math.log1p"]),
      rec.call(".add", rec.call("math.square", x), 0.5),
    ),
  ({ rec, draw }, x) => rec.call("clipByValue", x, draw.from([{ minValue: -0.7, maxValue: 0.6 }, { maxValue: 0.4 }])),
  ({ rec }, x) => rec.call("math.expm1", rec.call("clip", x, { minValue: -2, maxValue: 1 })),
  ({ rec, draw }, x) => rec.call("math.pow", rec.call(".add", rec.call("math.abs", x), 0.5), draw.from([2, 1.5, -0.5])),
  ({ rec, input, draw }, x) => {
    // Compared are only arguments: they are the same on all engines.
    const positive = rec.call(draw.from([".greater", ".less", ".greaterEqual"]), input, 0.1);
    const rows = rec.call("math.reduceAny", positive, { axis: input.shape.slice(1).map((_, i) => i + 1) });
    if (input.shape.length === 1) return undefined;
    const mask = rec.call("reshape", rows, [-1, ...x.shape.slice(1).map(() => 1)]);
    return draw.once(2) ? rec.call("where", mask, x, rec.call("math.tanh", x)) : rec.call("maskedFill", x, mask, 0.25);
  },
  ...[".add", ".sub", ".mul", "math.maximum", "math.minimum", "math.squaredDifference"].map((path) => binary(path)),
  (scene, x) => {
    const y = partner(scene, x);
    return scene.rec.call(
      ".div",
      x,
      typeof y === "number" ? y : scene.rec.call(".add", scene.rec.call("math.square", y), 1),
    );
  },
  (scene, x) => scene.rec.call("math.addN", [x, x, scene.rec.call("math.tanh", x)]),
  // Reductions.
  ...["Sum", "Mean", "Max", "Min", "Logsumexp", "Variance", "EuclideanNorm"].map((kind) =>
    reduction(`math.reduce${kind}`),
  ),
  ({ rec }, x) =>
    x.shape.length < 2 ? undefined : rec.call(".sub", x, rec.call("math.reduceMean", x, { axis: 0, keepdims: true })),
  ({ rec }, x) => rec.call(".mul", x, rec.call("math.reduceMean", rec.call("math.tanh", x))),
  (scene, x) => {
    if (x.shape.length < 2) return undefined;
    const [mean, variance] = scene.rec.call<readonly [flow.Blob, flow.Blob]>("nn.moments", x, [laterAxis(scene, x)], {
      keepdims: true,
    });
    scene.rec.name(mean, "mean");
    return scene.rec.call(
      ".add",
      scene.rec.name(mean, `mean${scene.index}`),
      scene.rec.name(variance, `variance${scene.index}`),
    );
  },
  // Structure.
  (scene, x) => {
    const axis = laterAxis(scene, x);
    if (axis === 0 || perRow(x) > most / 2) return undefined;
    return scene.rec.call("concat", [x, scene.draw.once(2) ? x : scene.rec.call("nn.relu", x)], { axis });
  },
  (scene, x) => {
    const axis = laterAxis(scene, x);
    const size = x.shape[axis]!;
    if (axis === 0 || size < 2) return undefined;
    const begin = scene.draw.below(size - 1);
    const at = <T>(here: T, elsewhere: T): T[] => x.shape.map((_, i) => (i === axis ? here : elsewhere));
    return scene.rec.call(
      "slice",
      x,
      at<number | null>(begin, null),
      at<number | null>(1 + scene.draw.below(size - begin - 1), null),
    );
  },
  (scene, x) => {
    const axis = laterAxis(scene, x);
    if (axis === 0) return undefined;
    const range = scene.draw.from([
      [null, null, -1],
      [0, null, 2],
      [-1, null, null],
    ]);
    return scene.rec.call(
      "sliceV2",
      x,
      x.shape.map((_, i) => (i === axis ? range : [null, null, null])),
    );
  },
  ({ rec, draw }, x) => {
    if (perRow(x) > 60) return undefined;
    return rec.call(
      "pad",
      x,
      x.shape.map((_, i) => (i === 0 ? [0, 0] : [draw.below(2), draw.below(2)])),
      {
        constantValue: 0.5,
      },
    );
  },
  (scene, x) => (x.shape.length < 2 ? undefined : scene.rec.call("reverse", x, laterAxis(scene, x))),
  ({ rec, draw }, x) => {
    if (x.shape.length < 3) return undefined;
    const rest = x.shape.slice(1).map((_, i) => i + 1);
    return rec.call("transpose", x, {
      perm: [0, ...(draw.once(2) ? rest.toReversed() : [...rest.slice(1), rest[0]!])],
    });
  },
  ({ rec }, x) => rec.call("reshape", x, [-1, perRow(x)]),
  ({ rec, draw }, x) => (x.shape.length > 4 ? undefined : rec.call("expandDims", x, draw.from([1, -1]))),
  ({ rec }, x) => {
    const axis = x.shape.flatMap((d, i) => (d === 1 && i > 0 ? [i] : []));
    return axis.length === 0 || axis.length === x.shape.length - 1 ? undefined : rec.call("squeeze", x, { axis });
  },
  ({ rec }, x) =>
    perRow(x) > 60 || x.shape.length < 2
      ? undefined
      : rec.call(
          "tile",
          x,
          x.shape.map((_, i) => (i === 1 ? 2 : 1)),
        ),
  ({ rec, draw }, x) =>
    perRow(x) > 60 || x.shape.length > 4
      ? undefined
      : rec.call("stack", [x, rec.call("math.tanh", x)], draw.from([1, -1])),
  (scene, x) => {
    const axis = laterAxis(scene, x);
    if (axis === 0) return undefined;
    const index = scene.rec.call("constant", scene.draw.below(x.shape[axis]!), { dtype: "int32", shape: [2] });
    return scene.rec.call("gather", x, index, { axis });
  },
  (scene) => scene.rec.call("gather", variable(scene, "-table", [classes, 2], scene.input.dtype), scene.labels),
  ({ rec, labels, input }) => rec.call("oneHot", labels, classes, { dtype: input.dtype, onValue: 0.9, offValue: -0.1 }),
  ({ rec, draw }, x) => (x.shape.length < 3 ? undefined : rec.call("math.tril", x, { diagonal: draw.below(2) })),
  // Products and normal forms.
  (scene, x) => {
    if (x.shape.length !== 2) return undefined;
    const [k, n] = [x.shape[1]!, 1 + scene.draw.below(4)];
    const transposeB = scene.draw.once(2);
    return scene.rec.call("matmul", x, variable(scene, "-matrix", transposeB ? [n, k] : [k, n], x.dtype), {
      transposeB,
    });
  },
  ({ rec, draw }, x) => {
    if (x.shape.length < 3) return undefined;
    const product = rec.call("matmul", x, x, draw.from([{ transposeB: true }, { transposeA: true }]));
    return rec.call("math.tanh", product);
  },
  ({ rec, draw }, x) => (x.shape.length < 2 ? undefined : rec.call(draw.from(["nn.softmax", "nn.logSoftmax"]), x)),
  (scene, x) =>
    x.shape.length < 2 ? undefined : scene.rec.call("math.l2Normalize", x, { axis: laterAxis(scene, x), epsilon: 0.1 }),
  ({ rec }, x) => rec.call("nn.sigmoidCrossEntropyWithLogits", rec.call("math.sigmoid", x), x),
  ({ rec, labels }, x) =>
    x.shape.length === 2 && x.shape[1]! >= classes
      ? rec.call("nn.sparseSoftmaxCrossEntropyWithLogits", labels, x)
      : undefined,
  ({ rec }, x) => rec.call("smoothL1Loss", x, rec.call("math.tanh", x), { beta: 0.7 }),
  ({ rec }, x) => {
    // In float64 programs the tolerance is that of float64.
    if (x.dtype === "float64") return undefined;
    return rec.call("cast", rec.call("math.sin", rec.call("cast", x, "float64")), x.dtype);
  },
  // Gradients as values.
  ({ rec, input }, x) => {
    const gradient = rec.call("gradients", rec.call("math.tanh", x), input, { unconnectedGradients: "zero" });
    return rec.call("math.tanh", gradient);
  },
  ({ rec, input }, x) => {
    const first = rec.call("gradients", rec.call("math.square", rec.call("math.sin", x)), input, {
      unconnectedGradients: "zero",
    });
    return rec.call(
      "math.sin",
      rec.call("gradients", rec.call("math.square", first), input, { unconnectedGradients: "zero" }),
    );
  },
];
