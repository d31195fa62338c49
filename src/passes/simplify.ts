import { sameShape, sizeOf } from "../core/shape.js";
import type { Blob } from "../graph/blob.js";
import { type Graph, type Node, usesOf } from "../graph/graph.js";
import { rewrite } from "../graph/rewrite.js";
import { emit, type TraceContext } from "../graph/trace.js";
import type { None, Op } from "../ops/define.js";
import {
  addOp,
  cast,
  divideOp,
  greaterOp,
  holds,
  multiply,
  multiplyOp,
  negative,
  subtract,
  subtractOp,
  where,
} from "../ops/elementwise.js";
import { segmentSumOp } from "../ops/indexing.js";
import { type MatmulAttrs, matmul } from "../ops/linalg.js";
import { type MaxUnpoolAttrs, maxUnpoolOp } from "../ops/pool.js";
import { type ReduceAttrs, reduceSum, reduceSumOp } from "../ops/reduce.js";
import { constantOp, constantValue, isScalar } from "../ops/sources.js";
import { broadcastTo, reshape, transpose } from "../ops/structure.js";
import { merging } from "./cse.js";
import { dce } from "./dce.js";

/** What takes the place of the node's one output; undefined where the rule does not fit. */
type Identity = (node: Node, inputs: readonly Blob[], uses: (blob: Blob) => number) => Blob | undefined;

const is = (blob: Blob, value: number): boolean => constantValue(blob) === value;
const shaped = (x: Blob, { outputs }: Node): Blob => broadcastTo(x, outputs[0]!.shape);
const filled = (value: number, { outputs: [y] }: Node): Blob =>
  emit(constantOp, [], { value, dtype: y!.dtype, shape: y!.shape });
/** The value rounded as the dtype stores it; undefined for dtypes that need no folding. */
const rounded = (value: number, dtype: string): number | undefined =>
  dtype === "float32" ? Math.fround(value) : dtype === "float64" ? value : undefined;

const identities: Readonly<Record<string, readonly Identity[]>> = {
  add: [
    fold((a, b) => a + b),
    (node, [x, y]) => (is(y!, 0) ? shaped(x!, node) : is(x!, 0) ? shaped(y!, node) : undefined), // x + 0 -> x
    (_, [x, y]) => (y!.node.op === "negative" ? subtract(x!, y!.node.inputs[0]!) : undefined), // x + (-y) -> x - y
    spreadByTheOp(addOp),
  ],
  subtract: [
    fold((a, b) => a - b),
    (node, [x, y]) => (is(y!, 0) ? shaped(x!, node) : undefined), // x - 0 -> x
    spreadByTheOp(subtractOp),
  ],
  multiply: [
    fold((a, b) => a * b),
    (node, [x, y]) => (is(y!, 1) ? shaped(x!, node) : is(x!, 1) ? shaped(y!, node) : undefined), // x * 1 -> x
    (_, [x, y]) => (constantValue(x!) !== undefined && constantValue(y!) === undefined ? multiply(y!, x!) : undefined), // c * x -> x * c
    (_, [x, y]) => scaleOfScale(x!, y!), // (x * a) * b -> x * (a * b), a and b of one element
    (_, [x, y], uses) => scaleOfProduct(x!, y!, uses),
    (_, [x, y], uses) => scaleOfRows(x!, y!, uses),
    spreadByTheOp(multiplyOp),
  ],
  divide: [
    fold((a, b) => a / b),
    (node, [x, y]) => (is(y!, 1) ? shaped(x!, node) : undefined), // x / 1 -> x
    (_, [x, y]) => reciprocalOfPower(x!, y!),
    spreadByTheOp(divideOp),
  ],
  negative: [
    fold((a) => -a),
    (_, [x]) => (x!.node.op === "negative" ? x!.node.inputs[0] : undefined), // -(-x) -> x
  ],
  cast: [
    (node, [x]) => castConstant(node, x!),
    (node, [x]) => (x!.dtype === node.outputs[0]!.dtype ? x : undefined),
    // float16 -> float32 or float64 -> float16 changes nothing
    (node, [x]) =>
      node.outputs[0]!.dtype === "float16" &&
      x!.node.op === "cast" &&
      x!.dtype.startsWith("float") &&
      x!.node.inputs[0]!.dtype === "float16"
        ? x!.node.inputs[0]
        : undefined,
    // bool -> any -> dtype is bool -> dtype
    (node, [x]) =>
      x!.node.op === "cast" && x!.node.inputs[0]!.dtype === "bool"
        ? cast(x!.node.inputs[0]!, node.outputs[0]!.dtype)
        : undefined,
  ],
  identity: [(_, [x]) => x],
  later: [(_, [x]) => (constantValue(x!) === undefined ? undefined : x)], // a constant is not kept
  reduceSum: [
    (node, [x]) => sumOfUnpooled(node, x!),
    // sum(-x) -> -sum(x)
    ({ attrs }, [x]) =>
      x!.node.op === "negative" ? negative(emit(reduceSumOp, x!.node.inputs, attrs as ReduceAttrs)) : undefined,
    (node, [x]) => scaleOfSum(node, x!),
  ],
  reshape: [
    (node, [x]) => (sameShape(x!.shape, node.outputs[0]!.shape) ? x : undefined),
    (node, [x]) => (x!.node.op === "reshape" ? reshape(x!.node.inputs[0]!, node.outputs[0]!.shape) : undefined), // reshape(reshape(x)) -> reshape(x)
    (node, [x]) => constantMoved(node, x!),
  ],
  broadcastTo: [
    (node, [x]) => (sameShape(x!.shape, node.outputs[0]!.shape) ? x : undefined),
    (node, [x]) => constantMoved(node, x!),
  ],
  transpose: [
    (node, [x]) => ((node.attrs.perm as readonly number[]).every((axis, i) => axis === i) ? x : undefined),
    // transpose(transpose(x, p), q) -> transpose(x, p[q])
    (node, [x]) =>
      x!.node.op === "transpose"
        ? transpose(x!.node.inputs[0]!, {
            perm: (node.attrs.perm as readonly number[]).map(
              (axis) => (x!.node.attrs.perm as readonly number[])[axis]!,
            ),
          })
        : undefined,
    (node, [x]) => constantMoved(node, x!),
  ],
  where: [(_, [condition, x, y]) => choiceBehindPool(condition!, x!, y!)],
  matmul: [(node, [a, b]) => transposeFolded(node, a!, b!)],
};

/**
 * where(x > c, unpool(d, places), 0) -> unpool(where(pool(x) > c, d, 0), places): the cells that get a cotangent are those the
 * pool took, so that relu's gradient touches the pooled cells only.
 */
function choiceBehindPool(condition: Blob, chosen: Blob, other: Blob): Blob | undefined {
  if (condition.node.op !== "greater" || chosen.node.op !== "maxUnpool" || !is(other, 0)) return undefined;
  const [x, bound] = condition.node.inputs as [Blob, Blob];
  const [cotangent, places] = chosen.node.inputs as [Blob, Blob];
  const pool = places.node;
  if (pool.op !== "maxPool" || pool.inputs[0] !== x || constantValue(bound) === undefined || !isScalar(bound))
    return undefined;
  const kept = where(holds(greaterOp, pool.outputs[0]!, bound), cotangent, other);
  return emit(maxUnpoolOp, [kept, places], chosen.node.attrs as MaxUnpoolAttrs);
}

/** sum(unpool(d, places)) over all of an image -> sum(d): what is added are zeros. */
function sumOfUnpooled({ attrs }: Node, x: Blob): Blob | undefined {
  if (x.node.op !== "maxUnpool") return undefined;
  const { axes, keepDims } = attrs as { readonly axes: readonly number[]; readonly keepDims: boolean };
  const rank = x.shape.length;
  const images = (x.node.attrs as MaxUnpoolAttrs).kernel.map((_, i) => rank - 1 - i);
  return images.every((axis) => axes.includes(axis))
    ? reduceSum(x.node.inputs[0]!, { axis: axes, keepdims: keepDims })
    : undefined;
}

/** A function of constants -> a constant. */
function fold(compute: (...values: number[]) => number): Identity {
  return (node, inputs) => {
    const values = inputs.map(constantValue);
    if (!values.every((value) => value !== undefined)) return undefined;
    const value = rounded(compute(...values), node.outputs[0]!.dtype);
    return value === undefined ? undefined : filled(value, node);
  };
}

/** reshape, broadcast or transpose of a constant -> a constant of that shape. */
function constantMoved(node: Node, x: Blob): Blob | undefined {
  const value = constantValue(x);
  return value === undefined ? undefined : filled(value, node);
}

/** cast of a constant to a float -> the rounded constant. */
function castConstant(node: Node, x: Blob): Blob | undefined {
  const value = constantValue(x);
  const result = value === undefined ? undefined : rounded(value, node.outputs[0]!.dtype);
  return result === undefined ? undefined : filled(result, node);
}

function scaleOfScale(x: Blob, scale: Blob): Blob | undefined {
  const [inner, first] = x.node.op === "multiply" ? x.node.inputs : [];
  if (inner === undefined || first === undefined || !isScalar(scale) || !isScalar(first) || isScalar(inner))
    return undefined;
  return sameShape(inner.shape, x.shape) ? multiply(inner, multiply(first, scale)) : undefined;
}

/** (a b) * s -> (a s) b, where a is the smaller matrix and the product has no other use: the scale touches fewer elements. */
function scaleOfProduct(x: Blob, scale: Blob, uses: (blob: Blob) => number): Blob | undefined {
  if (
    x.node.op !== "matmul" ||
    !isScalar(scale) ||
    constantValue(scale) !== undefined ||
    uses(x) > 1 ||
    scale.shape.length > x.shape.length
  )
    return undefined;
  const [a, b] = x.node.inputs as [Blob, Blob];
  const attrs = x.node.attrs as MatmulAttrs;
  const size = Math.min(sizeOf(a.shape), sizeOf(b.shape));
  if (size >= sizeOf(x.shape)) return undefined;
  return sizeOf(a.shape) === size ? matmul(multiply(a, scale), b, attrs) : matmul(a, multiply(b, scale), attrs);
}

/** sum(x * s) -> sum(x) * s, where s is the same along the summed axes: the scale touches the sums alone. */
function scaleOfSum({ attrs, outputs }: Node, product: Blob): Blob | undefined {
  if (product.node.op !== "multiply" || !product.dtype.startsWith("float")) return undefined;
  const { axes } = attrs as ReduceAttrs;
  const { shape } = product;
  const [a, b] = product.node.inputs as [Blob, Blob];
  const isScale = (s: Blob, x: Blob): boolean =>
    sameShape(x.shape, shape) && axes.every((axis) => (s.shape[axis - shape.length + s.shape.length] ?? 1) === 1);
  const [x, s] = isScale(b, a) ? [a, b] : isScale(a, b) ? [b, a] : [];
  if (x === undefined || s === undefined) return undefined;
  return reshape(multiply(emit(reduceSumOp, [x], { axes, keepDims: true }), s), outputs[0]!.shape);
}

/** op(broadcastTo(x), y) -> op(x, y), where y has the shape of the result. */
function spreadByTheOp(op: Op<string, None>): Identity {
  return (_, [x, y]) => {
    if (x!.node.op === "broadcastTo" && sameShape(x!.shape, y!.shape)) return emit(op, [x!.node.inputs[0]!, y!], {});
    if (y!.node.op === "broadcastTo" && sameShape(x!.shape, y!.shape)) return emit(op, [x!, y!.node.inputs[0]!], {});
    return undefined;
  };
}

/** sums by id (rows) * s -> sums by id (rows * s), where the rows are fewer: a table's gradient. */
function scaleOfRows(x: Blob, scale: Blob, uses: (blob: Blob) => number): Blob | undefined {
  if (x.node.op !== "segmentSum" || !isScalar(scale) || uses(x) > 1 || !x.dtype.startsWith("float")) return undefined;
  const [rows, ids] = x.node.inputs as [Blob, Blob];
  if (sizeOf(rows.shape) >= sizeOf(x.shape) || scale.shape.length > rows.shape.length) return undefined;
  return emit(segmentSumOp, [multiply(rows, scale), ids], x.node.attrs as { readonly segments: number });
}

/** x / 2^n -> x * 2^-n, which is exact. */
function reciprocalOfPower(x: Blob, y: Blob): Blob | undefined {
  const value = constantValue(y);
  if (
    value === undefined ||
    !x.dtype.startsWith("float") ||
    value === 0 ||
    !Number.isInteger(Math.log2(Math.abs(value)))
  )
    return undefined;
  return isScalar(y) && y.shape.length <= x.shape.length ? multiply(x, 1 / value) : undefined;
}

/** matmul(transpose(a), b) -> matmul(a, b, transposeA), for transposes of the last two axes. */
function transposeFolded({ attrs }: Node, a: Blob, b: Blob): Blob | undefined {
  const { transposeA, transposeB } = attrs as MatmulAttrs;
  if (swapsLast(a)) return matmul(a.node.inputs[0]!, b, { transposeA: !transposeA, transposeB });
  if (swapsLast(b)) return matmul(a, b.node.inputs[0]!, { transposeA, transposeB: !transposeB });
  return undefined;
}

function swapsLast({ node }: Blob): boolean {
  if (node.op !== "transpose") return false;
  const perm = node.attrs.perm as readonly number[];
  const rank = perm.length;
  return perm.every((axis, i) => axis === (i === rank - 1 ? rank - 2 : i === rank - 2 ? rank - 1 : i));
}

/** Applies the algebra above and merges equal nodes, with dce, until nothing changes. */
export function simplify(graph: Graph, context: TraceContext): Graph {
  for (let round = 0; round < 20; round++) {
    const counts = usesOf(graph);
    const uses = (blob: Blob): number => counts.get(blob) ?? Infinity; // made in this round: known in the next
    const merge = merging();
    let changed = false;
    const next = rewrite(graph, context, (node, inputs, keep) => {
      for (const identity of identities[node.op] ?? []) {
        const result = identity(node, inputs, uses);
        if (result === undefined) continue;
        changed = true;
        return [result];
      }
      return merge(node, inputs, keep);
    }).graph;
    graph = dce(next);
    if (!changed) return graph;
  }
  return graph;
}
