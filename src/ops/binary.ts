import { checkOptions, FlowError } from "../core/errors.js";
import { sameShape } from "../core/shape.js";
import type { Blob, BlobType, Operand } from "../graph/blob.js";
import { elementwise } from "../graph/extent.js";
import { emit, textOf } from "../graph/trace.js";
import {
  broadcastType,
  decomposable,
  type Named,
  named,
  nameOf,
  requireBlob,
  requireBlobs,
  requireFloat,
  requireNumber,
} from "./define.js";
import {
  abs,
  add,
  type Binary,
  binary,
  cast,
  divide,
  equalOp,
  greaterOp,
  holds,
  less,
  lessOp,
  maximum,
  minimum,
  multiply,
  negative,
  notEqual,
  operands,
  subtract,
  where,
} from "./elementwise.js";
import { scalarLike } from "./sources.js";
import { atan, floor, log, reciprocal, reciprocalNoNan } from "./unary.js";

/** The sum of blobs of one shape; a single one is returned as it is.  @flow math.add_n */
export function addN(inputs: readonly Blob[], options?: Named): Blob {
  const last = named("addN", options);
  requireBlobs("addN", "inputs", inputs);
  const odd = inputs.find((x) => !sameShape(x.shape, inputs[0].shape));
  if (odd !== undefined)
    throw new FlowError("E_SHAPE", `addN: got ${textOf(inputs[0])} and ${textOf(odd)}, expected equal shapes`);
  for (const x of inputs) broadcastType("addN", inputs[0], x);
  return inputs.reduce((sum, x, i) => add(sum, x, i === inputs.length - 1 ? last : {}));
}

/** `(x - y)²`, broadcast.  @flow math.squared_difference */
export const squaredDifference: Binary = (x, y, options) => {
  const [a, b] = operands("squaredDifference", x, y);
  broadcastType("squaredDifference", a, b);
  const difference = subtract(a, b);
  return multiply(difference, difference, named("squaredDifference", options));
};

/**
 * `x` to the power `y`, broadcast. Towards y the gradient is `x^y log(x)` where x > 0, else 0.
 * @flow math.pow
 * @example
 * ```ts job
 * // x = [1, 2, 3]
 * flow.math.pow(x, 2); // -> [1, 4, 9]
 * ```
 */
export function pow(x: Operand, y: Operand, options?: Named): Blob {
  return emit(powOp, operands("pow", x, y), {}, nameOf("pow", options));
}
export const powOp = binary("pow", ({ inputs: [x, y], y: z, dy }) => {
  const zero = scalarLike(0, dy);
  const safe = where(holds(greaterOp, x!, 0), x!, 1);
  return [
    where(holds(equalOp, y!, 0), zero, multiply(dy, multiply(y!, pow(x!, subtract(y!, 1))))),
    multiply(multiply(dy, z), log(safe)),
  ];
});

/** The largest integer not above `x / y`, broadcast; nothing flows back.  @flow math.floordiv */
export function floordiv(x: Operand, y: Operand, options?: Named): Blob {
  return emit(floordivOp, operands("floordiv", x, y), {}, nameOf("floordiv", options));
}
export const floordivOp = decomposable("floordiv", {
  infer: ([x, y]): BlobType => broadcastType("floordiv", x!, y!),
  grad: "stop",
  axisOf: elementwise,
  decompose: ([x, y]) => {
    if (x!.dtype.startsWith("float")) return [floor(divide(x!, y!))];
    const quotient = divide(x!, y!);
    const inexact = notEqual(multiply(quotient, y!), x!);
    const opposite = notEqual(less(x!, 0), less(y!, 0));
    return [subtract(quotient, cast(multiply(inexact, opposite), x!.dtype))];
  },
});

/** The remainder of `floordiv`, of the sign of `y`, broadcast.  @flow math.mod */
export function mod(x: Operand, y: Operand, options?: Named): Blob {
  return emit(modOp, operands("mod", x, y), {}, nameOf("mod", options));
}
export const modOp = binary("mod", ({ inputs: [x, y], dy }) => [dy, negative(multiply(dy, floordiv(x!, y!)))]);

/** The angle of the point (y, x), in (-π, π]: `atan(x / y)` in the right quadrant. `x` is the numerator.  @flow math.atan2 */
export function atan2(x: Operand, y: Operand, options?: Named): Blob {
  return emit(atan2Op, operands("atan2", x, y), {}, nameOf("atan2", options));
}
export const atan2Op = decomposable("atan2", {
  infer: ([x, y]): BlobType => {
    requireFloat("atan2", x!);
    return broadcastType("atan2", x!, y!);
  },
  // d/dx = y / (x² + y²), d/dy = -x / (x² + y²)
  grad: ({ inputs: [x, y], dy }) => {
    const scaled = divide(dy, add(multiply(x!, x!), multiply(y!, y!)));
    return [multiply(scaled, y!), negative(multiply(scaled, x!))];
  },
  axisOf: elementwise,
  decompose: ([x, y]) => {
    const [a, b] = [abs(x!), abs(y!)];
    const [low, high] = [minimum(a, b), maximum(a, b)];
    // Infinite and zero pairs have the ratios 1 and 0.
    const ratio = where(holds(equalOp, high, 0), 0, where(holds(equalOp, low, high), 1, divide(low, high)));
    const acute = atan(ratio);
    const first = where(holds(greaterOp, a, b), subtract(Math.PI / 2, acute), acute);
    const upper = where(holds(lessOp, y!, 0), subtract(Math.PI, first), first);
    return [where(holds(lessOp, x!, 0), negative(upper), upper)];
  },
});

/** `x / y`, and 0 where x is 0, broadcast; where both are 0, so is the slope.  @flow math.xdivy */
export function xdivy(x: Operand, y: Operand, options?: Named): Blob {
  return emit(xdivyOp, operands("xdivy", x, y), {}, nameOf("xdivy", options));
}
export const xdivyOp = decomposable("xdivy", {
  infer: ([x, y]): BlobType => broadcastType("xdivy", x!, y!),
  grad: ({ inputs: [x, y], dy }) => [
    multiply(dy, where(holds(equalOp, x!, 0), reciprocalNoNan(y!), reciprocal(y!))),
    multiply(dy, xdivy(negative(x!), multiply(y!, y!))),
  ],
  axisOf: elementwise,
  decompose: ([x, y]) => [where(holds(equalOp, x!, 0), 0, divide(x!, y!))],
});

/** `x log(y)`, and 0 where x is 0, broadcast; where x is 0 and y is not above 0, the slope is 0.  @flow math.xlogy */
export function xlogy(x: Operand, y: Operand, options?: Named): Blob {
  return emit(xlogyOp, operands("xlogy", x, y), {}, nameOf("xlogy", options));
}
export const xlogyOp = decomposable("xlogy", {
  infer: ([x, y]): BlobType => {
    requireFloat("xlogy", x!);
    return broadcastType("xlogy", x!, y!);
  },
  grad: ({ inputs: [x, y], dy }) => [
    multiply(dy, log(where(holds(equalOp, x!, 0), where(holds(greaterOp, y!, 0), y!, 1), y!))),
    multiply(dy, xdivy(x!, y!)),
  ],
  axisOf: elementwise,
  decompose: ([x, y]) => [where(holds(equalOp, x!, 0), 0, multiply(x!, log(y!)))],
});

/** Options of `clipByValue`. */
export interface ClipOptions extends Named {
  /** Default: no lower bound. */
  readonly minValue?: number;
  /** Default: no upper bound. */
  readonly maxValue?: number;
}

/**
 * `values` held within [minValue, maxValue]; the gradient passes on the closed interval. At least one bound is needed.
 * @flow math.clip_by_value @flow clip_by_value @flow clip_by_scalar @flow clip
 * @flow clamp
 * @example
 * ```ts job
 * // x = [-2, 0.5, 3]
 * flow.clipByValue(x, { minValue: -1, maxValue: 1 }); // -> [-1, 0.5, 1]
 * ```
 */
export function clipByValue(values: Blob, options: ClipOptions = {}): Blob {
  const { minValue, maxValue, name } = checkOptions("clipByValue", options, ["minValue", "maxValue", "name"]);
  requireBlob("clipByValue", "values", values);
  if (minValue === undefined && maxValue === undefined)
    throw new FlowError("E_ARGUMENT", "clipByValue: minValue and maxValue are missing; pass one or both");
  if (minValue !== undefined) requireNumber("clipByValue", "minValue", minValue);
  if (maxValue !== undefined) requireNumber("clipByValue", "maxValue", maxValue);
  const named = name === undefined ? {} : { name };
  if (minValue === undefined) return minimum(values, maxValue!, named);
  const raised = maximum(values, minValue, maxValue === undefined ? named : {});
  return maxValue === undefined ? raised : minimum(raised, maxValue, named);
}
