import { bug } from "../../../core/errors.js";
import { sameShape } from "../../../core/shape.js";
import type { Blob, BlobType } from "../../../graph/blob.js";
import type { Node } from "../../../graph/graph.js";
import { maxPoolGradOp, maxPoolOp } from "../rewrite.js";
import { activation } from "./activation.js";
import { binary } from "./binary.js";
import type { Emitter, Lowering } from "./context.js";
import { elementwise } from "./elementwise.js";
import { type ImageEmitter, permuted, toFirst, toLast } from "./images.js";
import { maxPool, maxPoolGrad } from "./pool.js";
import { special } from "./special.js";
import { transpose } from "./structure.js";
import { table } from "./table.js";
import { unary } from "./unary.js";

// TensorFlow's CPU kernels for images want channels last, the graph says [N, C, H, W]. An image that such a kernel makes stays
// channels last until an op needs the stored order; ops that do not care about the order of axes work on it as it is. So there
// are transposes at the borders only, and each at most once.

const rows: Readonly<Record<string, Emitter<never> | undefined>> = {
  ...table,
  [maxPoolOp.name]: maxPool,
  [maxPoolGradOp.name]: maxPoolGrad,
};

/** Ops that work element by element: in any order of axes, as long as all operands have it. */
const elementwiseOps = new Set([
  ...Object.keys({ ...elementwise, ...unary, ...binary, ...activation, ...special }),
  "identity",
  "observe",
]);

/** An axis of the stored order -> where it is with channels last. */
const movedAxis = (axis: number): number => toLast.indexOf(axis);

/** Ops that name axes: their attributes for images with channels last, undefined where the result's order would not be the stored one. */
const renamed: Readonly<Record<string, (attrs: Node["attrs"]) => Node["attrs"] | undefined>> = {
  broadcastTo: movedLists("shape"),
  concat: ({ axis }) => ({ axis: movedAxis(axis as number) }),
  pad: movedLists("before", "after"),
  slice: movedLists("starts", "sizes", "steps"),
  reduceMax: movedAxes,
  reduceMin: movedAxes,
  reduceProd: movedAxes,
  reduceSum: movedAxes,
};

function movedLists(...names: readonly string[]) {
  return (attrs: Node["attrs"]): Node["attrs"] => ({
    ...attrs,
    ...Object.fromEntries(names.map((name) => [name, permuted(attrs[name] as readonly number[], toLast)])),
  });
}

function movedAxes(attrs: Node["attrs"]): Node["attrs"] | undefined {
  const axes = attrs.axes as readonly number[];
  const left = toLast.filter((axis) => !axes.includes(axis));
  const ordered = left.every((axis, i) => i === 0 || axis > left[i - 1]!);
  if (attrs.keepDims !== true && !ordered) return undefined;
  return { ...attrs, axes: axes.map(movedAxis).sort((a, b) => a - b) };
}

const isImage = ({ shape }: BlobType): boolean => shape.length === 4;

/** A job's values, in the stored order of axes or, for images, channels last, or both. */
export class Values {
  readonly #stored = new Map<Blob, string>();
  readonly #last = new Map<Blob, string>();
  constructor(readonly to: Lowering) {}

  set(blob: Blob, value: string): void {
    this.#stored.set(blob, value);
  }

  /** A value in the stored order. */
  get(blob: Blob): string {
    const known = this.#stored.get(blob);
    if (known !== undefined) return known;
    const value = this.#reordered(this.#last.get(blob)!, last(blob), toFirst);
    this.#stored.set(blob, value);
    return value;
  }

  /** Lowers a node and keeps its results. */
  lower(node: Node): void {
    const emitter = rows[node.op];
    if (emitter === undefined) throw bug(`the tensorflow engine got op '${node.op}', which has no row`);
    if (this.#isReordering(node) || this.#isDelay(node, emitter)) return;
    const { images, makesImage } = emitter as Partial<ImageEmitter<never>>;
    if (images !== undefined && isImage(node.inputs[0]!)) {
      this.#lower(
        node,
        emitter,
        { ...node, inputs: node.inputs.map((x, i) => (images.includes(i) ? last(x) : x)) },
        makesImage!,
      );
      return;
    }
    const attrs = node.inputs.some((x) => this.#livesLast(x)) ? movableAttrs(node) : undefined;
    if (attrs === undefined) this.#lower(node, emitter, node, false);
    else this.#lower(node, emitter, { ...node, attrs, inputs: node.inputs.map(operand) }, isImage(node.outputs[0]!));
  }

  /** Lowers a node by a row that sees `seen`: of its inputs and results, the types that differ are those of channels last. */
  #lower(
    node: Node,
    emitter: Emitter<never>,
    seen: { readonly attrs: Node["attrs"]; readonly inputs: readonly BlobType[] },
    makesImage: boolean,
  ): void {
    const inputs = node.inputs.map((x, i) => (seen.inputs[i] === x ? this.get(x) : this.#operand(x)));
    const outputs = makesImage ? node.outputs.map(last) : node.outputs;
    const made = [
      emitter(this.to, inputs, seen.attrs as never, outputs, { ...node, inputs: seen.inputs, outputs } as Node),
    ].flat();
    for (const [i, output] of node.outputs.entries()) (makesImage ? this.#last : this.#stored).set(output, made[i]!);
  }

  /** A transpose from or to channels last is what the other name of a value is for. */
  #isReordering({ op, attrs, inputs: [x], outputs: [y] }: Node): boolean {
    if (op !== "transpose" || !isImage(x!)) return false;
    const perm = String(attrs.perm);
    if (perm === String(toFirst)) this.#last.set(y!, this.get(x!));
    else if (perm === String(toLast) && this.#last.has(x!)) this.#stored.set(y!, this.#last.get(x!)!);
    else return false;
    return true;
  }

  /** `later` leaves an image in the order it has; of its other input only the time counts. */
  #isDelay(node: Node, emitter: Emitter<never>): boolean {
    const {
      op,
      attrs,
      inputs: [x, dy],
      outputs: [y],
    } = node;
    if (op !== "later" || !this.#livesLast(x!)) return false;
    const inputs = [this.#last.get(x!)!, this.#stored.get(dy!) ?? this.#last.get(dy!)!];
    this.#last.set(y!, [emitter(this.to, inputs, attrs as never, [last(y!)], node)].flat()[0]!);
    return true;
  }

  #livesLast(blob: Blob): boolean {
    return this.#last.has(blob) && !this.#stored.has(blob);
  }

  /** A value of `operand(blob)`'s type. */
  #operand(blob: Blob): string {
    if (!isImage(blob)) return this.#reordered(this.get(blob), blob, toLast, operand(blob).shape);
    const known = this.#last.get(blob);
    if (known !== undefined) return known;
    const value = this.#reordered(this.get(blob), blob, toLast);
    this.#last.set(blob, value);
    return value;
  }

  /** A value of this type with its axes, after leading ones up to 4, in another order; a reshape where only axes of length 1 move. */
  #reordered(
    value: string,
    { dtype, shape }: BlobType,
    perm: readonly number[],
    wanted: readonly number[] = permuted(padded(shape), perm),
  ): string {
    const long = perm.filter((axis) => padded(shape)[axis] !== 1);
    if (long.every((axis, i) => i === 0 || axis > long[i - 1]!))
      return sameShape(shape, wanted) ? value : this.to.reshape(value, dtype, wanted);
    const whole = shape.length === 4 ? value : this.to.reshape(value, dtype, padded(shape));
    return transpose(this.to, whole, dtype, perm);
  }
}

/** An image's type with channels last. */
const last = (blob: BlobType): BlobType => ({ dtype: blob.dtype, shape: permuted(blob.shape, toLast) });

const padded = (shape: readonly number[]): number[] => [...Array<number>(4 - shape.length).fill(1), ...shape];

/** The type of what broadcasts with images that have channels last as this does with stored ones; numbers a channel are a vector. */
function operand(blob: BlobType): BlobType {
  if (isImage(blob)) return last(blob);
  const shape = permuted(padded(blob.shape), toLast);
  const rank = shape.findIndex((size) => size !== 1);
  return { dtype: blob.dtype, shape: rank < 0 ? blob.shape : shape.slice(rank) };
}

/** The attributes with which a node works on images with channels last; undefined where it cannot. */
function movableAttrs({ op, attrs, inputs, outputs: [y] }: Node): Node["attrs"] | undefined {
  if (elementwiseOps.has(op)) return isImage(y!) ? attrs : undefined;
  return inputs.every(isImage) && Object.hasOwn(renamed, op) ? renamed[op]!(attrs) : undefined;
}
