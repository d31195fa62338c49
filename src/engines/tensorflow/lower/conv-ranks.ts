import type { BlobType } from "../../../graph/blob.js";
import type { Node } from "../../../graph/graph.js";
import type { ConvAttrs, ConvInputGradAttrs } from "../../../ops/conv.js";
import type { Window } from "../../../ops/window.js";
import { type Emitter, type Emitters, ints, type Lowering, onlyWhere, string, type } from "./context.js";
import { conv as images } from "./conv.js";
import { type ImageEmitter, toLast as imagesLast, permuted } from "./images.js";
import { pad, slice } from "./parts.js";
import { transpose } from "./structure.js";

// The convolutions of conv.ts are for images. Those along one axis are images of height 1; those along three have kernels of
// their own, with channels last and filters [depth, height, width, in, out].

type Row<A> = Emitter<A>;

/** A unit axis before the last. */
const heightened = ({ dtype, shape }: BlobType): BlobType => ({
  dtype,
  shape: [...shape.slice(0, 2), 1, ...shape.slice(2)],
});

/** One axis as two, the first of them of size 1. */
function asImages<A extends ConvAttrs>(attrs: A): A {
  const { kernel, strides, dilations, pads } = attrs;
  const sizes = "sizes" in attrs ? { sizes: [1, ...(attrs.sizes as readonly number[])] } : {};
  const [before, after] = pads as readonly [number, number];
  return {
    ...attrs,
    ...sizes,
    kernel: [1, ...kernel],
    strides: [1, ...strides],
    dilations: [1, ...dilations],
    pads: [0, before, 0, after],
  };
}

/** A node with other types; rows read nothing else of its blobs. */
const retyped = (node: Node, attrs: ConvAttrs, inputs: readonly BlobType[], outputs: readonly BlobType[]): Node =>
  ({ ...node, attrs, inputs, outputs }) as unknown as Node;

const imageNode = (node: Node): Node =>
  retyped(node, asImages(node.attrs as ConvAttrs), node.inputs.map(heightened), node.outputs.map(heightened));

const rankOf = ({ attrs }: Node): number => (attrs as Window).kernel.length;

/** A row of conv.ts for one axis and two, `volumes` for three. */
function ofRank<A extends ConvAttrs>(row: ImageEmitter<A>, volumes: Row<A>): ImageEmitter<A> {
  const { images, makesImage } = row;
  const fits = (node: Node): boolean => {
    if (rankOf(node) === 3) return isSimple(node);
    return row.fits?.(rankOf(node) === 1 ? imageNode(node) : node) ?? true;
  };
  const emit: Row<A> = (to, inputs, attrs, types, node) => {
    if (rankOf(node) === 2) return row(to, inputs, attrs, types, node);
    if (rankOf(node) === 3) return volumes(to, inputs, attrs, types, node);
    const stored = imageNode(node);
    const image = retyped(
      stored,
      asImages(attrs),
      stored.inputs.map((x, i) => (images.includes(i) ? channelsLast(x) : x)),
      makesImage ? stored.outputs.map(channelsLast) : stored.outputs,
    );
    const wide = inputs.map((input, i) => {
      const { dtype, shape } = image.inputs[i]!;
      return to.reshape(images.includes(i) ? turned(to, input, node) : input, dtype, shape);
    });
    const [y] = [row(to, wide, image.attrs as A, image.outputs, image)].flat();
    const { dtype, shape } = types[0]!;
    if (!makesImage) return to.reshape(y!, dtype, shape);
    return turned(to, to.reshape(y!, dtype, permuted(shape, lineTurned)), node);
  };
  return Object.assign(onlyWhere(fits, emit), { images, makesImage });
}

const channelsLast = ({ dtype, shape }: BlobType): BlobType => ({ dtype, shape: permuted(shape, imagesLast) });

/** A line with its channels last, or back. */
const lineTurned = [0, 2, 1];
const turned = (to: Lowering, x: string, node: Node): string => transposed(to, x, lineTurned, node);

/** What the kernels for three axes can do. */
const isSimple = ({ attrs, outputs: [y] }: Node): boolean =>
  attrs.groups === 1 &&
  (attrs.dilations as readonly number[]).every((d) => d === 1) &&
  (y!.dtype === "float32" || y!.dtype === "float64");

const toLast = [0, 2, 3, 4, 1];
const toFirst = [0, 4, 1, 2, 3];
const filtersIn = [2, 3, 4, 1, 0];
const filtersOut = [4, 3, 0, 1, 2];

const attributesOf = ({ strides }: ConvAttrs, { outputs: [y] }: Node) => ({
  T: type(y!.dtype),
  strides: ints([1, ...strides, 1]),
  padding: string("VALID"),
  data_format: string("NDHWC"),
});

const transposed = (to: Lowering, x: string, perm: readonly number[], { outputs: [y] }: Node): string =>
  transpose(to, x, y!.dtype, perm);

/** A volume with channels last, padded. */
function volume(to: Lowering, x: string, { pads }: ConvAttrs, node: Node): string {
  const last = transposed(to, x, toLast, node);
  return pad(to, last, node.outputs[0]!.dtype, [0, ...pads.slice(0, 3), 0], [0, ...pads.slice(3), 0], 0);
}

export const conv = {
  conv: ofRank(images.conv, (to, [x, w], attrs: ConvAttrs, _, node) => {
    const filters = transposed(to, w!, filtersIn, node);
    const y = to.one("Conv3D", [volume(to, x!, attrs, node), filters], attributesOf(attrs, node));
    return transposed(to, y, toFirst, node);
  }),
  convInputGrad: ofRank(images.convInputGrad, (to, [dy, w], attrs: ConvInputGradAttrs, [out], node) => {
    const { pads } = attrs;
    const shape = permuted(out!.shape, toLast);
    const padded = shape.map((size, axis) =>
      axis === 0 || axis === 4 ? size : size + pads[axis - 1]! + pads[axis + 2]!,
    );
    const operands = [to.ints(padded), transposed(to, w!, filtersIn, node), transposed(to, dy!, toLast, node)];
    const dx = to.one("Conv3DBackpropInputV2", operands, { ...attributesOf(attrs, node), Tshape: type("int32") });
    const inside = pads.every((p) => p === 0)
      ? dx
      : slice(to, dx, out!.dtype, { starts: [0, ...pads.slice(0, 3), 0], sizes: shape, steps: [1, 1, 1, 1, 1] });
    return transposed(to, inside, toFirst, node);
  }),
  convFilterGrad: ofRank(images.convFilterGrad, (to, [x, dy], attrs: ConvAttrs, [out], node) => {
    const dw = to.one(
      "Conv3DBackpropFilterV2",
      [volume(to, x!, attrs, node), to.ints(permuted(out!.shape, filtersIn)), transposed(to, dy!, toLast, node)],
      attributesOf(attrs, node),
    );
    return transposed(to, dw, filtersOut, node);
  }),
} satisfies Partial<Emitters>;
