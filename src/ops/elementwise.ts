import { type DType, dtypeNames, dtypes } from "../core/dtype.js";
import { FlowError, plainText } from "../core/errors.js";
import { broadcastShapes } from "../core/shape.js";
import type { Blob, BlobType, Operand } from "../graph/blob.js";
import { elementwise } from "../graph/extent.js";
import { emit, textOf } from "../graph/trace.js";
import {
  broadcastType,
  type GradRule,
  type Named,
  type None,
  named,
  nameOf,
  type Op,
  op,
  requireBlob,
  requireFloat,
  requireOperand,
} from "./define.js";
import { scalarLike } from "./sources.js";

/** A function of one blob that keeps its shape. */
export type Unary = (x: Blob, options?: Named) => Blob;
/** A function of two operands, broadcast against each other; at least one is a blob. */
export type Binary = (x: Operand, y: Operand, options?: Named) => Blob;

/** A unary op on any dtype that keeps dtype and shape. */
function unaryAny<const N extends string>(name: N, grad: GradRule<None> | "stop"): Op<N, None, "primitive"> {
  return op(name, { infer: ([x]) => x!, grad, axisOf: elementwise });
}

/** Two operands of one dtype, broadcast. */
export function binary<const N extends string>(name: N, grad: GradRule<None> | "stop"): Op<N, None, "primitive"> {
  return op(name, {
    infer: ([x, y]) => {
      if (x!.dtype === "bool")
        throw new FlowError("E_DTYPE", `${name}: got ${textOf(x!)}, expected numbers; flow.cast it`);
      return broadcastType(name, x!, y!);
    },
    grad,
    axisOf: elementwise,
  });
}

/** Two operands of one dtype, broadcast, to bool. */
function comparison<const N extends string>(name: N): Op<N, None, "primitive"> {
  return op(name, {
    infer: ([x, y]): BlobType => ({ dtype: "bool", shape: broadcastType(name, x!, y!).shape }),
    grad: "stop",
    axisOf: elementwise,
  });
}

/** Both operands as blobs: a number takes the other's dtype. */
export function operands(where: string, x: Operand, y: Operand): [Blob, Blob] {
  requireOperand(where, "x", x);
  requireOperand(where, "y", y);
  if (typeof x === "number" && typeof y === "number")
    throw new FlowError("E_ARGUMENT", `${where}: both operands are numbers, expected a Blob among them`);
  if (typeof x === "number") return [numberLike(where, x, y as Blob), y as Blob];
  return [x, typeof y === "number" ? numberLike(where, y, x) : y];
}

function numberLike(where: string, value: number, like: Blob): Blob {
  if (!like.dtype.startsWith("float") && !Number.isInteger(value)) {
    throw new FlowError(
      "E_DTYPE",
      `${where}: ${value} is no ${like.dtype}; flow.cast the blob to a floating dtype first`,
    );
  }
  return scalarLike(value, like);
}

// --- arithmetic ----------------------------------------------------------------------------------------------------

/**
 * `x + y`, by numpy broadcasting; a number takes the blob's dtype.
 * @flow math.add
 * @example
 * ```ts job
 * // x = [[1, 2, 3], [4, 5, 6]]
 * flow.math.add(x, 1); // -> [[2, 3, 4], [5, 6, 7]]
 * x.add(x); // -> [[2, 4, 6], [8, 10, 12]]
 * ```
 */
export function add(x: Operand, y: Operand, options?: Named): Blob {
  return emit(addOp, operands("add", x, y), {}, nameOf("add", options));
}
export const addOp = binary("add", ({ dy }) => [dy, dy]);

/** `x - y`, broadcast. (v0.2 swapped the operands where x has shape (1,); here the order is right.)  @flow math.subtract */
export function subtract(x: Operand, y: Operand, options?: Named): Blob {
  return emit(subtractOp, operands("subtract", x, y), {}, nameOf("subtract", options));
}
export const subtractOp = binary("subtract", ({ dy }) => [dy, negative(dy)]);

/** `x * y`, broadcast.  @flow math.multiply */
export function multiply(x: Operand, y: Operand, options?: Named): Blob {
  return emit(multiplyOp, operands("multiply", x, y), {}, nameOf("multiply", options));
}
export const multiplyOp = binary("multiply", ({ inputs: [x, y], dy }) => [multiply(dy, y!), multiply(dy, x!)]);

/**
 * `x / y`, broadcast; IEEE for floats (v0.2 gave 0 for a division by the number 0), truncated for integers.
 * @flow math.divide
 * @example
 * ```ts job
 * // x = [1, -1, 0]
 * flow.math.divide(x, 0); // -> [Infinity, -Infinity, NaN]
 * ```
 */
export function divide(x: Operand, y: Operand, options?: Named): Blob {
  return emit(divideOp, operands("divide", x, y), {}, nameOf("divide", options));
}
export const divideOp = binary("divide", ({ inputs: [, v], y, dy }) => [
  divide(dy, v!),
  negative(divide(multiply(dy, y), v!)),
]);

/**
 * The larger operand, broadcast; where both are equal x is taken, and gets the gradient.
 * @flow math.maximum
 * @example
 * ```ts job
 * // x = [-1, 0, 2]
 * flow.math.maximum(x, 0); // -> [0, 0, 2]
 * ```
 */
export function maximum(x: Operand, y: Operand, options?: Named): Blob {
  return emit(maximumOp, operands("maximum", x, y), {}, nameOf("maximum", options));
}
export const maximumOp = binary("maximum", ({ inputs: [x, y], dy }) => choose(holds(greaterEqualOp, x!, y!), dy));

/** The smaller operand, broadcast; where both are equal x is taken, and gets the gradient.  @flow math.minimum */
export function minimum(x: Operand, y: Operand, options?: Named): Blob {
  return emit(minimumOp, operands("minimum", x, y), {}, nameOf("minimum", options));
}
export const minimumOp = binary("minimum", ({ inputs: [x, y], dy }) => choose(holds(lessEqualOp, x!, y!), dy));

/** The cotangents of an op that took x where `isX`, else y. */
function choose(isX: Blob, dy: Blob): readonly Blob[] {
  const zero = scalarLike(0, dy);
  return [where(isX, dy, zero), where(isX, zero, dy)];
}

// --- sign and square ----------------------------------------------------------------------------------------------------------

/** `-x`.  @flow math.negative */
export const negative: Unary = (x, options) => emit(negativeOp, [x], {}, nameOf("negative", options));
export const negativeOp = unaryAny("negative", ({ dy }) => [negative(dy)]);

/** `|x|`; its slope at 0 is 0.  @flow math.abs */
export const abs: Unary = (x, options) => emit(absOp, [x], {}, nameOf("abs", options));
export const absOp = unaryAny("abs", ({ inputs: [x], dy }) => [multiply(dy, sign(x!))]);

/** -1, 0 or 1.  @flow math.sign */
export const sign: Unary = (x, options) => emit(signOp, [x], {}, nameOf("sign", options));
export const signOp = unaryAny("sign", "stop");

/** `x * x`.  @flow math.square */
export const square: Unary = (x, options) => {
  requireBlob("square", "x", x);
  return multiply(x, x, named("square", options));
};

// --- comparison and choice -----------------------------------------------------------------------------------------

/** A comparison as bools, which `where` takes. */
export const holds = (op: Op<string, None>, x: Operand, y: Operand): Blob => emit(op, operands(op.name, x, y), {});

/** The documented form of a comparison: int8 zeros and ones. */
const compare =
  (op: Op<string, None>): Binary =>
  (x, y, options) =>
    cast(emit(op, operands(op.name, x, y), {}, nameOf(op.name, options)), "int8");

export const equalOp = comparison("equal");
export const notEqualOp = comparison("notEqual");
export const lessOp = comparison("less");
export const lessEqualOp = comparison("lessEqual");
export const greaterOp = comparison("greater");
export const greaterEqualOp = comparison("greaterEqual");

/** `x == y`, broadcast, as int8 0 or 1.  @flow math.equal */
export const equal: Binary = compare(equalOp);
/** `x != y`, broadcast, as int8 0 or 1.  @flow math.not_equal */
export const notEqual: Binary = compare(notEqualOp);
/** `x < y`, broadcast, as int8 0 or 1.  @flow math.less */
export const less: Binary = compare(lessOp);
/** `x <= y`, broadcast, as int8 0 or 1.  @flow math.less_equal */
export const lessEqual: Binary = compare(lessEqualOp);
/**
 * `x > y`, broadcast, as int8 0 or 1.
 * @flow math.greater
 * @example
 * ```ts job
 * // x = [1, 2, 3]
 * flow.math.greater(x, 2); // -> [0, 0, 1]
 * x.greater(2).dtype; // -> "int8"
 * ```
 */
export const greater: Binary = compare(greaterOp);
/** `x >= y`, broadcast, as int8 0 or 1.  @flow math.greater_equal */
export const greaterEqual: Binary = compare(greaterEqualOp);

/** 1 where both operands are not 0, broadcast, as int8.  @flow math.logical_and */
export const logicalAnd: Binary = (x, y, options) => {
  const [a, b] = operands("logicalAnd", x, y).map((blob) => notEqual(blob, 0)) as [Blob, Blob];
  broadcastType("logicalAnd", a, b);
  return multiply(a, b, named("logicalAnd", options));
};

/** 1 where a floating `x` is neither NaN nor infinite, as int8. */
// biome-ignore lint/suspicious/noShadowRestrictedNames: the name the field has for it
export function isFinite(x: Blob, options?: Named): Blob {
  return cast(emit(isFiniteOp, [x], {}, nameOf("isFinite", options)), "int8");
}
export const isFiniteOp = op("isFinite", {
  infer: ([x]): BlobType => {
    requireFloat("isFinite", x!);
    return { dtype: "bool", shape: x!.shape };
  },
  grad: "stop",
  axisOf: elementwise,
});

/** `x` where `condition` is not 0, else `y`; all three broadcast. */
export function where(condition: Blob, x: Operand, y: Operand, options?: Named): Blob {
  requireBlob("where", "condition", condition);
  const chosen = condition.dtype === "bool" ? condition : cast(condition, "bool");
  return emit(whereOp, [chosen, ...operands("where", x, y)], {}, nameOf("where", options));
}
export const whereOp = op("where", {
  infer: ([condition, x, y]): BlobType => {
    if (condition!.dtype !== "bool")
      throw new FlowError("E_DTYPE", `where: condition is ${textOf(condition!)}, expected bool`);
    const { dtype, shape } = broadcastType("where", x!, y!);
    const all = broadcastShapes(condition!.shape, shape);
    if ("conflict" in all)
      throw new FlowError(
        "E_SHAPE",
        `where: cannot broadcast the condition ${textOf(condition!)} with [${shape.join(",")}]: dimension ${all.conflict} differs`,
      );
    return { dtype, shape: all.shape };
  },
  grad: ({ inputs: [condition], dy }) => [null, ...choose(condition!, dy)],
  axisOf: elementwise,
});

/**
 * `x` in another dtype: floats to integers truncate, to float16 they are rounded to even, anything not 0 is a true bool.
 * @flow cast
 * @example
 * ```ts job
 * // x = [-1.7, 2.9]
 * flow.cast(x, flow.int32); // -> [-1, 2]
 * ```
 */
export function cast(x: Blob, dtype: DType, options?: Named): Blob {
  const name = nameOf("cast", options);
  requireBlob("cast", "x", x);
  if (!dtypeNames.includes(dtype))
    throw new FlowError(
      "E_DTYPE",
      `cast: dtype is ${plainText(dtype)}, expected one of ${dtypes().join(", ")}, such as flow.int32`,
    );
  return x.dtype === dtype ? x : emit(castOp, [x], { dtype }, name);
}
export const castOp = op("cast", {
  infer: ([x], { dtype }: { readonly dtype: DType }): BlobType => ({ dtype, shape: x!.shape }),
  grad: ({ inputs: [x], dy }) => [x!.dtype.startsWith("float") ? cast(dy, x!.dtype) : null],
  axisOf: elementwise,
});
