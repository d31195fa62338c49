import type { Blob } from "../graph/blob.js";
import { elementwise } from "../graph/extent.js";
import { emit } from "../graph/trace.js";
import {
  decomposable,
  type GradRule,
  type Named,
  type None,
  named,
  nameOf,
  type Op,
  op,
  requireAlike,
  requireBlob,
  requireFloat,
} from "./define.js";
import {
  abs,
  add,
  divide,
  equalOp,
  greaterOp,
  holds,
  multiply,
  negative,
  sign,
  square,
  subtract,
  type Unary,
  where,
} from "./elementwise.js";

/** A floating unary op that keeps dtype and shape. */
export function unary<const N extends string>(name: N, grad: GradRule<None> | "stop"): Op<N, None, "primitive"> {
  return op(name, { infer: ([x]) => floating(name, x!), grad, axisOf: elementwise });
}

/** As `unary`, with a formula for engines that lack a kernel. */
export function unaryFormula<const N extends string>(
  name: N,
  grad: GradRule<None>,
  formula: (x: Blob) => Blob,
): Op<N, None, "decomposable"> {
  return decomposable(name, {
    infer: ([x]) => floating(name, x!),
    grad,
    axisOf: elementwise,
    decompose: ([x]) => [formula(x!)],
  });
}

function floating(name: string, x: Blob): Blob {
  requireFloat(name, x);
  return x;
}

/** `c[0] + c[1] x + c[2] x² + ...` */
export function polynomial(x: Blob, [first, ...rest]: readonly number[]): Blob {
  return add(multiply(x, rest.length > 1 ? polynomial(x, rest) : rest[0]!), first!);
}

// --- powers and logarithms -----------------------------------------------------------------------------------------

/** `e^x`.  @flow math.exp */
export const exp: Unary = (x, options) => emit(expOp, [x], {}, nameOf("exp", options));
export const expOp = unary("exp", ({ y, dy }) => [multiply(dy, y)]);

/** `e^x - 1`, exact near 0.  @flow math.expm1 */
export const expm1: Unary = (x, options) => emit(expm1Op, [x], {}, nameOf("expm1", options));
export const expm1Op = unaryFormula(
  "expm1",
  ({ y, dy }) => [multiply(dy, add(y, 1))],
  // Kahan: the rounding errors of u - 1 and log(u) cancel in their quotient.
  (x) => {
    const u = exp(x);
    const small = where(holds(equalOp, u, 1), x, multiply(subtract(u, 1), divide(x, log(u))));
    return where(holds(greaterOp, abs(x), 0.5), subtract(u, 1), small);
  },
);

/** Natural logarithm.  @flow math.log */
export const log: Unary = (x, options) => emit(logOp, [x], {}, nameOf("log", options));
export const logOp = unary("log", ({ inputs: [x], dy }) => [divide(dy, x!)]);

/**
 * `log(1 + x)`, exact near 0.
 * @flow math.log1p
 * @example
 * ```ts job
 * // x = [0, 1e-6]
 * flow.math.log1p(x).div(1e-6); // -> [0, 1]
 * ```
 */
export const log1p: Unary = (x, options) => emit(log1pOp, [x], {}, nameOf("log1p", options));
export const log1pOp = unaryFormula(
  "log1p",
  ({ inputs: [x], dy }) => [divide(dy, add(x!, 1))],
  // Kahan, as in expm1.
  (x) => {
    const u = add(x, 1);
    const small = where(holds(equalOp, u, 1), x, multiply(log(u), divide(x, subtract(u, 1))));
    return where(holds(greaterOp, x, 0.5), log(u), small);
  },
);

/** Square root.  @flow math.sqrt */
export const sqrt: Unary = (x, options) => emit(sqrtOp, [x], {}, nameOf("sqrt", options));
export const sqrtOp = unary("sqrt", ({ y, dy }) => [divide(multiply(dy, 0.5), y)]);

/** `1 / sqrt(x)`.  @flow math.rsqrt */
export const rsqrt: Unary = (x, options) => {
  requireFloat("rsqrt", x);
  return divide(1, sqrt(x), named("rsqrt", options));
};

/** `1 / x`.  @flow math.reciprocal */
export const reciprocal: Unary = (x, options) => {
  requireBlob("reciprocal", "x", x);
  return divide(1, x, named("reciprocal", options));
};

/**
 * `1 / x`, and 0 (with slope 0) where x is 0.
 * @flow math.reciprocal_no_nan
 * @example
 * ```ts job
 * // x = [0, 4]
 * flow.math.reciprocalNoNan(x); // -> [0, 0.25]
 * ```
 */
export const reciprocalNoNan: Unary = (x, options) => {
  requireBlob("reciprocalNoNan", "x", x);
  const zero = holds(equalOp, x, 0);
  return where(zero, 0, divide(1, where(zero, 1, x)), named("reciprocalNoNan", options));
};

// --- trigonometric -------------------------------------------------------------------------------------------------

/** Sine of radians.  @flow math.sin */
export const sin: Unary = (x, options) => emit(sinOp, [x], {}, nameOf("sin", options));
export const sinOp = unary("sin", ({ inputs: [x], dy }) => [multiply(dy, cos(x!))]);

/** Cosine of radians.  @flow math.cos */
export const cos: Unary = (x, options) => emit(cosOp, [x], {}, nameOf("cos", options));
export const cosOp = unary("cos", ({ inputs: [x], dy }) => [negative(multiply(dy, sin(x!)))]);

/** Tangent of radians.  @flow math.tan */
export const tan: Unary = (x, options) => emit(tanOp, [x], {}, nameOf("tan", options));
export const tanOp = unaryFormula(
  "tan",
  ({ y, dy }) => [multiply(dy, add(square(y), 1))],
  (x) => divide(sin(x), cos(x)),
);

/** Arcsine, radians in [-π/2, π/2].  @flow math.asin */
export const asin: Unary = (x, options) => emit(asinOp, [x], {}, nameOf("asin", options));
export const asinOp = unaryFormula(
  "asin",
  ({ inputs: [x], dy }) => [divide(dy, halfCircle(x!))],
  (x) => atan(divide(x, halfCircle(x))),
);

/** Arccosine, radians in [0, π].  @flow math.acos */
export const acos: Unary = (x, options) => emit(acosOp, [x], {}, nameOf("acos", options));
export const acosOp = unaryFormula(
  "acos",
  ({ inputs: [x], dy }) => [negative(divide(dy, halfCircle(x!)))],
  (x) => multiply(atan(sqrt(divide(subtract(1, x), add(x, 1)))), 2),
);

/** `sqrt(1 - x²)`, without loss near 1. */
const halfCircle = (x: Blob): Blob => sqrt(multiply(subtract(1, x), add(x, 1)));

/** Arctangent, radians in [-π/2, π/2].  @flow math.atan */
export const atan: Unary = (x, options) => emit(atanOp, [x], {}, nameOf("atan", options));
export const atanOp = unaryFormula(
  "atan",
  ({ inputs: [x], dy }) => [divide(dy, add(square(x!), 1))],
  // atan(x) = π/2 - atan(1/x) down to [0, 1], twice atan(x) = 2 atan(x / (1 + sqrt(1 + x²))) down to [0, 0.2], then the
  // Taylor series, whose next term is below 1e-18.
  (x) => {
    const size = abs(x);
    const large = holds(greaterOp, size, 1);
    let t = where(large, divide(1, size), size);
    for (let i = 0; i < 2; i++) t = divide(t, add(sqrt(add(square(t), 1)), 1));
    const series = Array.from({ length: 13 }, (_, k) => (k % 2 === 0 ? 4 : -4) / (2 * k + 1));
    const angle = multiply(t, polynomial(square(t), series));
    return multiply(sign(x), where(large, subtract(Math.PI / 2, angle), angle));
  },
);

// --- hyperbolic ----------------------------------------------------------------------------------------------------

/** Hyperbolic sine.  @flow math.sinh */
export const sinh: Unary = (x, options) => emit(sinhOp, [x], {}, nameOf("sinh", options));
export const sinhOp = unaryFormula(
  "sinh",
  ({ inputs: [x], dy }) => [multiply(dy, cosh(x!))],
  (x) => {
    const e = expm1(abs(x));
    const small = multiply(add(e, divide(e, add(e, 1))), 0.5);
    return multiply(sign(x), where(holds(greaterOp, abs(x), 20), halfExp(x), small));
  },
);

/** Hyperbolic cosine.  @flow math.cosh */
export const cosh: Unary = (x, options) => emit(coshOp, [x], {}, nameOf("cosh", options));
export const coshOp = unaryFormula(
  "cosh",
  ({ inputs: [x], dy }) => [multiply(dy, sinh(x!))],
  (x) => add(halfExp(x), multiply(exp(negative(abs(x))), 0.5)),
);

/** `e^|x| / 2`, which is finite a little further than `e^|x|`. */
function halfExp(x: Blob): Blob {
  const root = exp(multiply(abs(x), 0.5));
  return multiply(multiply(root, 0.5), root);
}

/** Hyperbolic tangent.  @flow math.tanh @flow math.tanh_v2 */
export const tanh: Unary = (x, options) => emit(tanhOp, [x], {}, nameOf("tanh", options));
export const tanhOp = unary("tanh", ({ y, dy }) => [tanhGrad(y, dy)]);

/**
 * The gradient of `tanh`: `dy (1 - y²)`, y being what tanh gave.
 * @flow math.tanh_grad
 * @example
 * ```ts job
 * // y = [0, 0.5]
 * // dy = [1, 2]
 * flow.math.tanhGrad(y, dy); // -> [1, 1.5]
 * ```
 */
export function tanhGrad(y: Blob, dy: Blob, options?: Named): Blob {
  const last = named("tanhGrad", options);
  requireAlike("tanhGrad", { y, dy });
  return multiply(dy, subtract(1, multiply(y, y)), last);
}

/** Inverse hyperbolic sine.  @flow math.asinh */
export const asinh: Unary = (x, options) => emit(asinhOp, [x], {}, nameOf("asinh", options));
export const asinhOp = unaryFormula(
  "asinh",
  ({ inputs: [x], dy }) => [divide(dy, sqrt(add(square(x!), 1)))],
  // log(|x| + sqrt(x² + 1)); log(2|x|) where x² would overflow.
  (x) => {
    const size = abs(x);
    const squared = square(size);
    const small = log1p(add(size, divide(squared, add(sqrt(add(squared, 1)), 1))));
    return multiply(sign(x), where(holds(greaterOp, size, 1e8), add(log(size), Math.LN2), small));
  },
);

/** Inverse hyperbolic cosine, of x >= 1.  @flow math.acosh */
export const acosh: Unary = (x, options) => emit(acoshOp, [x], {}, nameOf("acosh", options));
export const acoshOp = unaryFormula(
  "acosh",
  ({ inputs: [x], dy }) => [divide(dy, sqrt(multiply(subtract(x!, 1), add(x!, 1))))],
  // log(x + sqrt(x² - 1)) in terms of t = x - 1; log(2x) where x² would overflow.
  (x) => {
    const t = subtract(x, 1);
    const small = log1p(add(t, sqrt(multiply(t, add(t, 2)))));
    return where(holds(greaterOp, x, 1e8), add(log(x), Math.LN2), small);
  },
);

/** Inverse hyperbolic tangent, of x in (-1, 1).  @flow math.atanh */
export const atanh: Unary = (x, options) => emit(atanhOp, [x], {}, nameOf("atanh", options));
export const atanhOp = unaryFormula(
  "atanh",
  ({ inputs: [x], dy }) => [divide(dy, multiply(subtract(1, x!), add(x!, 1)))],
  (x) => {
    const size = abs(x);
    return multiply(sign(x), multiply(log1p(divide(multiply(size, 2), subtract(1, size))), 0.5));
  },
);

// --- rounding ------------------------------------------------------------------------------------------------------

/** The largest integer not above x; nothing flows back.  @flow math.floor */
export const floor: Unary = (x, options) => emit(floorOp, [x], {}, nameOf("floor", options));
export const floorOp = unary("floor", "stop");

/** The smallest integer not below x; nothing flows back.  @flow math.ceil */
export const ceil: Unary = (x, options) => emit(ceilOp, [x], {}, nameOf("ceil", options));
export const ceilOp = unary("ceil", "stop");

/**
 * The nearest integer, of two the even one; nothing flows back.
 * @flow math.round @flow math.rint
 * @example
 * ```ts job
 * // x = [0.5, 1.5, 2.5]
 * flow.math.round(x); // -> [0, 2, 2]
 * ```
 */
export const round: Unary = (x, options) => emit(roundOp, [x], {}, nameOf("round", options));
export const roundOp = unary("round", "stop");
