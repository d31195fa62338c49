// Every model at full size is what the originals are: names, shapes, numbers of variables and parameters. Jobs are traced, compiled
// and opened, not run. Numbers in comments (B.1, D.4, ...) are the sections of the sheet of facts that the originals were read for.
import * as flow from "onestep";
import { tp } from "onestep";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CnnName, trainNet } from "../../examples/models/cnns.js";
import { discriminator, generator } from "../../examples/models/dcgan.js";
import { type ResnetOptions, resnet50 } from "../../examples/models/resnet.js";
import { wideDeepJobs } from "../../examples/models/wide-deep-jobs.js";

beforeEach(() => flow.config.engine("reference"));
afterEach(() => flow.clearDefaultSession());

type Tree = Readonly<Record<string, readonly number[]>>;

const treeOf = ({ variables }: flow.Description): Tree =>
  Object.fromEntries(variables.map(({ name, shape }) => [name, shape]));

const expectTree = (description: flow.Description, expected: Tree): void => {
  const sorted = (tree: Tree) => Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1));
  expect(sorted(treeOf(description))).toEqual(sorted(expected));
};

const describeCnn = (name: CnnName) => flow.describe(trainNet(name, { batch: 2 }));

const statistics = ["beta", "gamma", "moving_mean", "moving_variance"];
const batchNorm = (name: string, channels: number): Tree =>
  Object.fromEntries(statistics.map((part) => [`${name}-${part}`, [channels]]));

test("AlexNet: 15 variables, 50,302,912 parameters (B.1, D.3)", async () => {
  const description = await describeCnn("alexnet");
  expect(description.variables).toHaveLength(15);
  expect(description.parameters).toEqual({ total: 50_302_912, trained: 50_302_912 });
  expectTree(description, {
    "conv1-weight": [64, 3, 11, 11],
    "conv2-weight": [192, 64, 5, 5],
    "conv3-weight": [384, 192, 3, 3],
    "conv4-weight": [384, 384, 3, 3],
    "conv5-weight": [256, 384, 3, 3],
    "conv1-bias": [64],
    "conv2-bias": [192],
    "conv3-bias": [384],
    "conv4-bias": [384],
    "conv5-bias": [256],
    "fc1-weight": [4096, 6400],
    "fc1-bias": [4096],
    "fc2-weight": [4096, 4096],
    "fc2-bias": [4096],
    "fc3-weight": [1000, 4096],
  });
});

test("VGG16: 84 variables, 138,374,440 parameters, 138,365,992 trained (B.1, D.3)", async () => {
  const description = await describeCnn("vgg");
  expect(description.variables).toHaveLength(84);
  expect(description.parameters).toEqual({ total: 138_374_440, trained: 138_365_992 });
  const outputs = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512];
  const expected: Record<string, readonly number[]> = {
    "dense0-weight": [4096, 25088],
    "dense0-bias": [4096],
    "dense1-weight": [4096, 4096],
    "dense1-bias": [4096],
    "dense2-weight": [1000, 4096],
    "dense2-bias": [1000],
  };
  for (const [i, channels] of outputs.entries())
    Object.assign(
      expected,
      { [`conv${i}_weight`]: [channels, outputs[i - 1] ?? 3, 3, 3], [`conv${i}_bias`]: [channels] },
      batchNorm(`conv${i}_bn`, channels),
    );
  expectTree(description, expected);
});

/** D.4's tree, name by name: `relu` and `addRelu` end the names of normalizations that a flag fuses. */
function resnetTree({ relu = "", addRelu = "", conv1 = [64, 3, 7, 7] } = {}): Tree {
  const tree: Record<string, readonly number[]> = {
    "Resnet-conv1-weight": conv1,
    ...batchNorm(`Resnet-conv1_bn${relu}`, 64),
    "Resnet-fc1001-weight": [1000, 2048],
    "Resnet-fc1001-bias": [1000],
  };
  let input = 64;
  for (const [i, blocks] of [3, 4, 6, 3].entries()) {
    const [stage, inner] = [i + 2, [64, 128, 256, 512][i]!];
    for (let block = 0; block < blocks; block++) {
      const name = `Resnet-res${stage}_${block}_branch`;
      Object.assign(
        tree,
        { [`${name}2a-weight`]: [inner, input, 1, 1] },
        batchNorm(`${name}2a_bn${relu}`, inner),
        { [`${name}2b-weight`]: [inner, inner, 3, 3] },
        batchNorm(`${name}2b_bn${relu}`, inner),
        { [`${name}2c-weight`]: [4 * inner, inner, 1, 1] },
        batchNorm(`${name}2c_bn${addRelu}`, 4 * inner),
        block > 0 ? {} : { [`${name}1-weight`]: [4 * inner, input, 1, 1] },
        block > 0 ? {} : batchNorm(`${name}1_bn`, 4 * inner),
      );
      input = 4 * inner;
    }
  }
  return tree;
}

test("ResNet50: 267 variables, 25,610,152 parameters, 25,557,032 trained; D.4's tree (B.1, D.4)", async () => {
  const description = await describeCnn("resnet50");
  expect(description.variables).toHaveLength(267);
  expect(description.parameters).toEqual({ total: 25_610_152, trained: 25_557_032 });
  expectTree(description, resnetTree());
  // 8.18 GFLOP an image in convolutions and products; what is counted here has normalizations and sums too.
  const gigaflop = description.flop.forward / 2e9;
  expect(gigaflop).toBeGreaterThan(8.18);
  expect(gigaflop).toBeLessThan(8.4);
});

const describeResnet = (options: ResnetOptions, shape: readonly [number, number, number, number] = [1, 3, 64, 64]) =>
  flow.describe(
    flow.globalFunction({ name: "InferenceNet", returns: tp.Numpy }, [tp.Numpy.Placeholder(shape)], (images) =>
      resnet50(images, options),
    ),
  );

test("ResNet50's flags change names and shapes as documented (D.4)", async () => {
  expectTree(await describeResnet({ fuseBnRelu: true, fuseBnAddRelu: true }), {
    ...resnetTree({ relu: "_relu", addRelu: "_add_relu" }),
  });
  await flow.clearDefaultSession();
  expectTree(await describeResnet({ padOutput: true }), resnetTree({ conv1: [64, 4, 7, 7] }));
  await flow.clearDefaultSession();
  const last = await describeResnet({ channelLast: true, padOutput: true }, [1, 64, 64, 3]);
  const tree = Object.entries(resnetTree({ conv1: [64, 4, 7, 7] })).map(([name, shape]) => {
    const [filters, channels, height, width] = shape;
    return [name, width === undefined ? shape : [filters, height, width, channels]];
  });
  expectTree(last, Object.fromEntries(tree) as Tree);
});

test("InceptionV3: 190 variables, 23,817,352 parameters (B.1, D.5)", async () => {
  const description = await describeCnn("inceptionv3");
  expect(description.variables).toHaveLength(190);
  expect(description.parameters).toEqual({ total: 23_817_352, trained: 23_817_352 });
  const convolutions: Record<string, readonly number[]> = {
    conv0: [32, 3, 3, 3],
    conv1: [32, 32, 3, 3],
    conv2: [64, 32, 3, 3],
    conv3: [80, 64, 1, 1],
    conv4: [192, 80, 3, 3],
    fc1: [1000, 2048],
  };
  const add = (prefix: string, entries: Tree): void => {
    for (const [name, shape] of Object.entries(entries)) convolutions[`${prefix}-${name}`] = shape;
  };
  for (const [i, [c, p]] of [[192, 32] as const, [256, 64] as const, [288, 64] as const].entries())
    add(`mixed_${i}`, {
      "branch1x1-conv0": [64, c, 1, 1],
      "branch5x5-conv0": [48, c, 1, 1],
      "branch5x5-conv1": [64, 48, 5, 5],
      "branch3x3dbl-conv0": [64, c, 1, 1],
      "branch3x3dbl-conv1": [96, 64, 3, 3],
      "branch3x3dbl-conv2": [96, 96, 3, 3],
      "branch_pool-conv": [p, c, 1, 1],
    });
  add("mixed_3", {
    "branch3x3-conv0": [384, 288, 3, 3],
    "branch3x3dbl-conv0": [64, 288, 1, 1],
    "branch3x3dbl-conv1": [96, 64, 3, 3],
    "branch3x3dbl-conv2": [96, 96, 3, 3],
  });
  for (const [i, f] of [128, 160, 160, 192].entries())
    add(`mixed_${4 + i}`, {
      "branch1x1-conv0": [192, 768, 1, 1],
      "branch7x7-conv0": [f, 768, 1, 1],
      "branch7x7-conv1": [f, f, 1, 7],
      "branch7x7-conv2": [192, f, 7, 1],
      "branch7x7dbl-conv0": [f, 768, 1, 1],
      "branch7x7dbl-conv1": [f, f, 7, 1],
      "branch7x7dbl-conv2": [f, f, 1, 7],
      "branch7x7dbl-conv3": [f, f, 7, 1],
      "branch7x7dbl-conv4": [192, f, 1, 7],
      "branch_pool-conv": [192, 768, 1, 1],
    });
  add("mixed_8", {
    "branch3x3-conv0": [192, 768, 1, 1],
    "branch3x3-conv1": [320, 192, 3, 3],
    "branch7x7x3-conv0": [192, 768, 1, 1],
    "branch7x7x3-conv1": [192, 192, 1, 7],
    "branch7x7x3-conv2": [192, 192, 7, 1],
    "branch7x7x3-conv3": [192, 192, 3, 3],
  });
  for (const [i, c] of [1280, 2048].entries())
    add(`mixed_${9 + i}`, {
      "branch1x1-conv0": [320, c, 1, 1],
      "branch3x3-conv0": [384, c, 1, 1],
      "branch3x3-conv1": [384, 384, 1, 3],
      "branch3x3-conv2": [384, 384, 3, 1],
      "branch3x3dbl-conv0": [448, c, 1, 1],
      "branch3x3dbl-conv1": [384, 448, 3, 3],
      "branch3x3dbl-conv2": [384, 384, 1, 3],
      "branch3x3dbl-conv3": [384, 384, 3, 1],
      "branch_pool-conv": [192, c, 1, 1],
    });
  const tree = Object.entries(convolutions).flatMap(([name, shape]) => [
    [`InceptionV3-${name}-weight`, shape],
    [`InceptionV3-${name}-bias`, [shape[0]!]],
  ]);
  expectTree(description, Object.fromEntries(tree) as Tree);
});

test("MobileNetV2: 261 variables, 3,537,984 parameters, 3,503,872 trained (B.1, D.4)", async () => {
  const description = await describeCnn("mobilenetv2");
  expect(description.variables).toHaveLength(261);
  expect(description.parameters).toEqual({ total: 3_537_984, trained: 3_503_872 });
  const tree: Record<string, readonly number[]> = { "MobilenetV2-fc-weight": [1000, 1280] };
  const conv = (name: string, shape: readonly number[]): void => {
    tree[`MobilenetV2-${name}-weight`] = shape;
    Object.assign(tree, batchNorm(`MobilenetV2-${name}-BatchNorm`, shape[0]!));
  };
  conv("Conv", [32, 3, 3, 3]);
  conv("expanded_conv-depthwise", [32, 1, 3, 3]);
  conv("expanded_conv-project", [16, 32, 1, 1]);
  const outputs = [16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320];
  for (let k = 1; k <= 16; k++) {
    const c = outputs[k - 1]!;
    conv(`expanded_conv_${k}-expand`, [6 * c, c, 1, 1]);
    conv(`expanded_conv_${k}-depthwise`, [6 * c, 1, 3, 3]);
    conv(`expanded_conv_${k}-project`, [outputs[k]!, 6 * c, 1, 1]);
  }
  conv("Conv_1", [1280, 320, 1, 1]);
  expectTree(description, tree);
});

test("Wide & Deep: 18 variables, 34,000,417 parameters (B.3, D.7)", async () => {
  const description = await flow.describe(wideDeepJobs({ batch: 4 }).trainJob);
  expect(description.variables).toHaveLength(18);
  expect(description.parameters).toEqual({ total: 34_000_417, trained: 34_000_417 });
  const tree: Record<string, readonly number[]> = {
    wide_embedding: [1_603_616, 1],
    deep_embedding: [1_603_616, 16],
    "fc1-weight": [1024, 429],
    "fc8-weight": [1, 1024],
    "fc8-bias": [1],
  };
  for (let i = 2; i <= 7; i++) tree[`fc${i}-weight`] = [1024, 1024];
  for (let i = 1; i <= 7; i++) tree[`fc${i}-bias`] = [1024];
  expectTree(description, tree);
});

test("DCGAN: generator 16 variables, 2,330,944 parameters, discriminator 5 and 212,864 (B.4, D.7)", async () => {
  const rate = new flow.optimizer.PiecewiseConstantScheduler([], [1e-5]);
  const network = (name: string, input: flow.Placeholder, build: (x: flow.Blob) => flow.Blob) =>
    flow.globalFunction({ type: "train", name }, [input], (x) => {
      new flow.optimizer.Adam(rate).minimize(flow.math.reduceMean(build(x)));
    });
  const g = await flow.describe(network("g", tp.Numpy.Placeholder([2, 100]), generator));
  expect(g.variables).toHaveLength(16);
  expect(g.parameters).toEqual({ total: 2_330_944, trained: 2_305_472 });
  expectTree(g, {
    "g_fc1-weight": [12544, 100],
    ...batchNorm("g_bn1", 12544),
    "g_deconv1-weight": [256, 128, 5, 5],
    ...batchNorm("g_bn2", 128),
    "g_deconv2-weight": [128, 64, 5, 5],
    ...batchNorm("g_bn3", 64),
    "g_deconv3-weight": [64, 1, 5, 5],
  });
  await flow.clearDefaultSession();
  const d = await flow.describe(network("d", tp.Numpy.Placeholder([2, 1, 28, 28]), discriminator));
  expect(d.parameters).toEqual({ total: 212_864, trained: 212_864 });
  expectTree(d, {
    "d_conv1-weight": [64, 1, 5, 5],
    "d_conv1-bias": [64],
    "d_conv2-weight": [128, 64, 5, 5],
    "d_conv2-bias": [128],
    "d_fc-weight": [1, 6272],
  });
});
