import { afterAll, describe, expect, test } from "vitest";
import * as math from "#src/api/math.js";
import * as nn from "#src/api/nn.js";
import { backpropagate } from "#src/autodiff/backpropagate.js";
import { sizeOf } from "#src/core/shape.js";
import type { Tensor } from "#src/core/tensor.js";
import { reference } from "#src/engines/reference/engine.js";
import { tensorflow } from "#src/engines/tensorflow/engine.js";
import { lowerJob } from "#src/engines/tensorflow/lower/model.js";
import { pools } from "#src/engines/tensorflow/rewrite.js";
import type { Blob } from "#src/graph/blob.js";
import { compile } from "#src/job/compile.js";
import { add, multiply, subtract } from "#src/ops/elementwise.js";
import { concat, pad, slice } from "#src/ops/parts.js";
import { broadcastTo, reshape, transpose } from "#src/ops/structure.js";
import { JobVariables, VariableRegistry } from "#src/variables/registry.js";
import { evaluate, graphOf, numbers, randomTensor, withGradients } from "../../ops/harness.js";
import { isReady } from "../ready.js";

/** How often each op is in the TensorFlow graph of `call` and its gradients. */
function opsOf(call: (...inputs: Blob[]) => Blob, ...shapes: readonly (readonly number[])[]): Record<string, number> {
  const types = shapes.map((shape) => ({ dtype: "float32" as const, shape }));
  const { shape } = graphOf("type", types, (...blobs) => [call(...blobs)]).graph.outputs[0]!;
  const { builder } = graphOf("job", [...types, { dtype: "float32", shape }], withGradients(call));
  const variables = new JobVariables(new VariableRegistry(), builder);
  const traced = { builder, variables, objective: undefined, watches: [] };
  const { native } = compile(traced, tensorflow, { checkNumerics: false, variant: "" }).whole;
  const counts: Record<string, number> = {};
  const { nodes } = lowerJob("j0", pools(native.graph, native.context), () => "v0");
  for (const { op } of nodes) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

const layer = (x: Blob, w: Blob, bias: Blob): Blob =>
  nn.maxPool2d(nn.relu(nn.biasAdd(nn.conv2d(x, w, 1, "SAME"), bias)), 2, 2, "SAME");

describe("ops of TensorFlow that rows become", () => {
  test("two layers of LeNet and their gradients: kernels, and transposes of images at the borders alone", () => {
    const twoLayers = (x: Blob, w: Blob, b: Blob, w2: Blob, b2: Blob): Blob => layer(layer(x, w, b), w2, b2);
    const found = opsOf(twoLayers, [2, 2, 8, 8], [4, 2, 5, 5], [4], [6, 4, 5, 5], [6]);
    expect(found).toMatchObject({
      Conv2D: 2,
      BiasAdd: 2,
      Relu: 2,
      MaxPool: 2,
      MaxPoolGrad: 2,
      Conv2DBackpropInput: 2,
      Conv2DBackpropFilter: 2,
    });
    // Images: x, the result, its cotangent and x's. Filters: each once for each of the three kernels' sake.
    expect(found.Transpose).toBe(4 + 6);
    expect(found).not.toHaveProperty("StridedSlice");
  });

  test("what oneDNN does wrong is not asked of it: one place across with a stride, one tap with strides in a filter gradient", () => {
    const strided = (x: Blob, w: Blob) => nn.conv2d(x, w, 2, "VALID");
    // The image is cut to the window, and to the cells that the stride steps on.
    expect(opsOf(strided, [2, 1, 6, 5], [3, 1, 2, 4])).toMatchObject({ Conv2D: 1, StridedSlice: 1 });
    expect(opsOf(strided, [2, 3, 8, 10], [4, 3, 1, 1])).toMatchObject({ Conv2DBackpropFilter: 1, StridedSlice: 1 });
    expect(opsOf(strided, [2, 3, 8, 10], [4, 3, 2, 2])).not.toHaveProperty("StridedSlice");
  });

  test("groups are split, one channel a group has kernels of its own", () => {
    const grouped = (groups: number) => (x: Blob, w: Blob) => nn.conv2d(x, w, 1, "SAME", { groups });
    const split = opsOf(grouped(2), [2, 4, 6, 6], [6, 2, 3, 3]);
    expect(split).toMatchObject({ Conv2D: 2, Conv2DBackpropInput: 2, Conv2DBackpropFilter: 2 });
    const depthwise = opsOf(grouped(4), [2, 4, 6, 6], [8, 1, 3, 3]);
    expect(depthwise).toMatchObject({
      DepthwiseConv2dNative: 1,
      DepthwiseConv2dNativeBackpropInput: 1,
      DepthwiseConv2dNativeBackpropFilter: 1,
    });
    for (const found of [split, depthwise]) expect(found).not.toHaveProperty("MatMul");
  });

  test("dilation is the kernel's own forward, and zeros between the taps in gradients", () => {
    const found = opsOf((x, w) => nn.conv2d(x, w, 1, "SAME", { dilations: 2 }), [2, 3, 8, 8], [4, 3, 3, 3]);
    expect(found).toMatchObject({ Conv2D: 1, Conv2DBackpropInput: 1, Conv2DBackpropFilter: 1, PadV2: 1 });
  });

  test("averages: by the kernels, an uneven padding as zeros and a correction", () => {
    const by = (padding: string) => opsOf((x) => nn.avgPool2d(x, 2, 1, padding as "SAME"), [2, 3, 5, 5]);
    expect(by("SAME_UPPER")).toMatchObject({ AvgPool: 1, AvgPoolGrad: 1 });
    expect(by("SAME_UPPER")).not.toHaveProperty("PadV2");
    expect(by("SAME")).toMatchObject({ AvgPool: 1, AvgPoolGrad: 1, PadV2: 1, Mul: 2 });
  });
});

describe.runIf(isReady("tensorflow"))("images with channels last", () => {
  const sessions = [reference, tensorflow].map((engine) => [engine, engine.open({})] as const);
  afterAll(async () => {
    for (const [, session] of sessions) await (await session).close();
  });

  /** Values, and gradients of half the sum of their squares, on both engines. */
  async function compare(
    call: (...inputs: Blob[]) => readonly Blob[],
    shapes: readonly (readonly number[])[],
    change: (value: number) => number = (value) => value,
  ) {
    const inputs = shapes.map((shape, i) => {
      const tensor = randomTensor(`layout ${i}`, "float32", shape);
      return { ...tensor, data: (tensor.data as Float32Array).map(change) } as Tensor;
    });
    const results = [];
    for (const [engine, session] of sessions)
      results.push(
        await evaluate(engine, await session, inputs, (...blobs) => {
          const ys = call(...blobs);
          return [...ys, ...backpropagate([...ys], blobs, [...ys]).filter((g) => g !== null)];
        }),
      );
    const [expected, got] = results as [(typeof results)[0], (typeof results)[0]];
    expect(got.length).toBe(expected.length);
    for (const [i, tensor] of expected.entries()) {
      expect(got[i]!.shape).toEqual(tensor.shape);
      const [want, have] = [numbers(tensor), numbers(got[i]!)];
      const scale = Math.max(1, ...want.map(Math.abs));
      for (const [j, value] of want.entries()) expect(Math.abs(have[j]! - value)).toBeLessThanOrEqual(2e-5 * scale);
      expect(want.length).toBe(sizeOf(tensor.shape));
    }
  }
  const image = [2, 3, 6, 5];
  const filters = [4, 3, 3, 3];
  const made = (x: Blob, w: Blob): Blob => nn.conv2d(x, w, 1, "SAME");

  test("concat, pad, slice, broadcast and reductions along any axes", () =>
    compare(
      (x, w) => {
        const y = made(x!, w!);
        const wide = concat([y, multiply(y, y)], { axis: 1 });
        const padded = pad(wide, [
          [0, 0],
          [1, 0],
          [0, 1],
          [2, 0],
        ]);
        const cut = slice(padded, [0, 1, 1, 2], [2, 7, 4, 5]);
        const high = math.reduceMax(cut, { axis: [1], keepdims: true });
        const sums = [[0, 2, 3], [1], [2, 3], [0], [1, 3], [3]].map((axis) => math.reduceSum(cut, { axis }));
        const spread = broadcastTo(math.reduceSum(y, { axis: [2, 3], keepdims: true }), y.shape);
        return [subtract(cut, high), ...sums, multiply(spread, y)];
      },
      [image, filters],
    ));

  test("operands of every rank broadcast", () =>
    compare(
      (x, w, ...operands) => operands.map((operand, i) => (i % 2 === 0 ? add : multiply)(made(x!, w!), operand)),
      [
        image,
        filters,
        ...[[5], [4, 1, 1], [6, 1], [6, 5], [4, 6, 5], [4, 1, 5], [1], [2, 1, 1, 1], [1, 4, 1, 1], [2, 4, 6, 5]],
      ],
    ));

  test("reshapes and transposes of them, and a value used in both orders", () =>
    compare(
      (x, w) => {
        const y = made(x!, w!);
        const last = transpose(y, { perm: [0, 2, 3, 1] });
        const again = nn.relu(transpose(last, { perm: [0, 3, 1, 2] }));
        return [reshape(y, [2, -1]), add(y, again), last, transpose(y, { perm: [3, 2, 1, 0] }), math.reduceSum(again)];
      },
      [image, filters],
    ));

  test("ties under uneven padding go to the first maximum", () =>
    compare(
      (x) => [nn.maxPool2d(x!, 3, 2, "SAME"), nn.maxPool2d(x!, 2, 1, "SAME"), nn.maxPool2d(x!, 2, 1, "SAME_UPPER")],
      [image],
      Math.round,
    ));
});
