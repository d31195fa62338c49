import * as flow from "onestep";
import { type CnnOptions, scaled } from "./cnn-options.js";

type Kernel = number | readonly [number, number];
/** `branch([["conv0", 48, 1], ["conv1", 64, 5]])`: convolutions in a row, each with name, filters, kernel. */
type Layer = readonly [name: string, filters: number, kernel: Kernel, options?: { readonly strides: number }];

/**
 * InceptionV3 as OneFlow-Benchmark has it since 161d6b1 (`Classification/cnns/inception_model.py`): convolution, bias, relu, no
 * batch normalization. (The tag v0.2.0 used a function that v0.2.0 does not export.) Logits of NCHW images; at width 1 it has 190
 * variables and 23,817,352 parameters. Images are 299 x 299, where the last pool is 8 x 8; the smallest are 75 x 75.
 */
export function inceptionV3(images: flow.Blob, { classes = 1000, width = 1 }: CnnOptions = {}): flow.Blob {
  const { namespace } = flow.scope;
  const regularizer = flow.regularizers.l2(0.00005);
  const kernelInitializer = flow.varianceScalingInitializer({ distribution: "random_normal", dataFormat: "NCHW" });
  const conv = (
    x: flow.Blob,
    [name, filters, kernel, { strides } = { strides: 1 }]: Layer,
    padding: "SAME" | "VALID" = strides === 1 ? "SAME" : "VALID",
  ): flow.Blob =>
    flow.layers.conv2d(x, scaled(filters, width), kernel, {
      strides,
      padding,
      activation: flow.math.relu,
      kernelInitializer,
      kernelRegularizer: regularizer,
      biasRegularizer: regularizer,
      name,
    });
  const branch = (name: string, x: flow.Blob, layers: readonly Layer[]): flow.Blob =>
    namespace(name, () => layers.reduce((y, layer) => conv(y, layer), x));
  /** A convolution behind a pool that keeps the size. */
  const poolBranch = (x: flow.Blob, filters: number, kind: "avg" | "max" = "avg"): flow.Blob =>
    namespace("branch_pool", () => {
      const pool = kind === "avg" ? flow.nn.avgPool2d : flow.nn.maxPool2d;
      return conv(pool(x, 3, 1, "SAME", { name: "pool" }), ["conv", filters, 1]);
    });
  const halvingPool = (x: flow.Blob): flow.Blob =>
    namespace("branch_pool", () => flow.nn.maxPool2d(x, 3, 2, "VALID", { name: "pool" }));
  const half = { strides: 2 };
  const mixed = (index: number, branches: () => readonly flow.Blob[]): flow.Blob =>
    namespace(`mixed_${index}`, () => flow.concat(branches(), { axis: 1, name: "concat" }));

  const inceptionA = (x: flow.Blob, index: number): flow.Blob =>
    mixed(index, () => [
      branch("branch1x1", x, [["conv0", 64, 1]]),
      branch("branch5x5", x, [
        ["conv0", 48, 1],
        ["conv1", 64, 5],
      ]),
      branch("branch3x3dbl", x, [
        ["conv0", 64, 1],
        ["conv1", 96, 3],
        ["conv2", 96, 3],
      ]),
      poolBranch(x, index === 0 ? 32 : 64),
    ]);
  const inceptionB = (x: flow.Blob, index: number): flow.Blob =>
    mixed(index, () => [
      branch("branch3x3", x, [["conv0", 384, 3, half]]),
      branch("branch3x3dbl", x, [
        ["conv0", 64, 1],
        ["conv1", 96, 3],
        ["conv2", 96, 3, half],
      ]),
      halvingPool(x),
    ]);
  const inceptionC = (x: flow.Blob, index: number, filters: number): flow.Blob =>
    mixed(index, () => [
      branch("branch1x1", x, [["conv0", 192, 1]]),
      branch("branch7x7", x, [
        ["conv0", filters, 1],
        ["conv1", filters, [1, 7]],
        ["conv2", 192, [7, 1]],
      ]),
      branch("branch7x7dbl", x, [
        ["conv0", filters, 1],
        ["conv1", filters, [7, 1]],
        ["conv2", filters, [1, 7]],
        ["conv3", filters, [7, 1]],
        ["conv4", 192, [1, 7]],
      ]),
      poolBranch(x, 192),
    ]);
  const inceptionD = (x: flow.Blob, index: number): flow.Blob =>
    mixed(index, () => [
      branch("branch3x3", x, [
        ["conv0", 192, 1],
        ["conv1", 320, 3, half],
      ]),
      branch("branch7x7x3", x, [
        ["conv0", 192, 1],
        ["conv1", 192, [1, 7]],
        ["conv2", 192, [7, 1]],
        ["conv3", 192, 3, half],
      ]),
      halvingPool(x),
    ]);
  /** A branch that ends in a 1 x 3 and a 3 x 1 convolution side by side. */
  const forked = (name: string, x: flow.Blob, layers: readonly Layer[], ends: readonly Layer[]): flow.Blob =>
    namespace(name, () => {
      const stem = layers.reduce((y, layer) => conv(y, layer), x);
      return flow.concat(
        ends.map((layer) => conv(stem, layer)),
        { axis: 1, name: "concat" },
      );
    });
  const inceptionE = (x: flow.Blob, index: number, pool: "avg" | "max"): flow.Blob =>
    mixed(index, () => [
      branch("branch1x1", x, [["conv0", 320, 1]]),
      forked(
        "branch3x3",
        x,
        [["conv0", 384, 1]],
        [
          ["conv1", 384, [1, 3]],
          ["conv2", 384, [3, 1]],
        ],
      ),
      forked(
        "branch3x3dbl",
        x,
        [
          ["conv0", 448, 1],
          ["conv1", 384, 3],
        ],
        [
          ["conv2", 384, [1, 3]],
          ["conv3", 384, [3, 1]],
        ],
      ),
      poolBranch(x, 192, pool),
    ]);

  return namespace("InceptionV3", () => {
    const conv0 = conv(images, ["conv0", 32, 3, half]);
    const conv1 = conv(conv0, ["conv1", 32, 3], "VALID");
    const conv2 = conv(conv1, ["conv2", 64, 3]);
    const pool1 = flow.nn.maxPool2d(conv2, 3, 2, "VALID", { name: "pool1" });
    const conv3 = conv(pool1, ["conv3", 80, 1]);
    const conv4 = conv(conv3, ["conv4", 192, 3], "VALID");
    let x = flow.nn.maxPool2d(conv4, 3, 2, "VALID", { name: "pool2" });
    for (const index of [0, 1, 2]) x = inceptionA(x, index);
    x = inceptionB(x, 3);
    for (const [i, filters] of [128, 160, 160, 192].entries()) x = inceptionC(x, 4 + i, filters);
    x = inceptionD(x, 8);
    x = inceptionE(x, 9, "avg");
    x = inceptionE(x, 10, "max");
    const pool3 = flow.nn.avgPool2d(x, x.shape.slice(2), 1, "VALID", { name: "pool3" });
    return flow.layers.dense(flow.reshape(pool3, [pool3.shape[0]!, -1]), classes, {
      kernelInitializer: flow.truncatedNormal(0.816496580927726),
      name: "fc1",
    });
  });
}
