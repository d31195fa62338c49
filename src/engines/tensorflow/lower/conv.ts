import type { Node } from "../../../graph/graph.js";
import type { ConvAttrs, ConvInputGradAttrs } from "../../../ops/conv.js";
import { type Emitters, ints, type Lowering, onlyWhere, string, type } from "./context.js";
import { pad, slice } from "./parts.js";

// TensorFlow's CPU kernels convolve images with channels last, filters [height, width, in, out]; the optimizer that it runs on
// every graph cancels the transposes between two of them.
const toLast = [0, 2, 3, 1];
const toFirst = [0, 3, 1, 2];
const filtersIn = [2, 3, 1, 0];
const filtersOut = [3, 2, 0, 1];

/** What the kernels can do: images in one group, without dilation, which their gradients lack. */
const fits = ({ attrs, outputs: [y] }: Node): boolean =>
  (attrs.kernel as readonly number[]).length === 2 &&
  attrs.groups === 1 &&
  (attrs.dilations as readonly number[]).every((d) => d === 1) &&
  (y!.dtype === "float32" || y!.dtype === "float64");

const pick = (values: readonly number[], perm: readonly number[]): number[] => perm.map((axis) => values[axis]!);

const attributesOf = ({ strides }: ConvAttrs, { outputs: [y] }: Node) => ({
  T: type(y!.dtype),
  strides: ints([1, ...strides, 1]),
  padding: string("VALID"),
  data_format: string("NHWC"),
});

const transposed = (to: Lowering, x: string, perm: readonly number[], { outputs: [y] }: Node): string =>
  to.one("Transpose", [x, to.ints(perm)], { T: type(y!.dtype) });

/** An image with channels last, padded. */
function image(to: Lowering, x: string, { pads: [top, left, bottom, right] }: ConvAttrs, node: Node): string {
  const last = transposed(to, x, toLast, node);
  return pad(to, last, node.outputs[0]!.dtype, [0, top!, left!, 0], [0, bottom!, right!, 0], 0);
}

export const conv = {
  conv: onlyWhere(fits, (to, [x, w], attrs: ConvAttrs, _, node) => {
    const filters = transposed(to, w!, filtersIn, node);
    const y = to.one("Conv2D", [image(to, x!, attrs, node), filters], attributesOf(attrs, node));
    return transposed(to, y, toFirst, node);
  }),
  convInputGrad: onlyWhere(fits, (to, [dy, w], attrs: ConvInputGradAttrs, [out], node) => {
    const [top, left, bottom, right] = attrs.pads as readonly [number, number, number, number];
    const [batch, height, width, channels] = pick(out!.shape, toLast) as [number, number, number, number];
    const dx = to.one(
      "Conv2DBackpropInput",
      [
        to.ints([batch, height + top + bottom, width + left + right, channels]),
        transposed(to, w!, filtersIn, node),
        transposed(to, dy!, toLast, node),
      ],
      attributesOf(attrs, node),
    );
    const inside = attrs.pads.every((p) => p === 0)
      ? dx
      : slice(to, dx, out!.dtype, {
          starts: [0, top, left, 0],
          sizes: [batch, height, width, channels],
          steps: [1, 1, 1, 1],
        });
    return transposed(to, inside, toFirst, node);
  }),
  convFilterGrad: onlyWhere(fits, (to, [x, dy], attrs: ConvAttrs, [out], node) => {
    const dw = to.one(
      "Conv2DBackpropFilter",
      [image(to, x!, attrs, node), to.ints(pick(out!.shape, filtersIn)), transposed(to, dy!, toLast, node)],
      attributesOf(attrs, node),
    );
    return transposed(to, dw, filtersOut, node);
  }),
} satisfies Partial<Emitters>;
