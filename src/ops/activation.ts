import { checkOptions } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { elementwise } from "../graph/extent.js";
import { emit } from "../graph/trace.js";
import { decomposable, type Named, named, nameOf, requireAlike, requireFloat } from "./define.js";
import {
  abs,
  add,
  greaterOp,
  holds,
  maximum,
  multiply,
  negative,
  square,
  subtract,
  type Unary,
  where,
} from "./elementwise.js";
import { scalarLike } from "./sources.js";
import { erf } from "./special.js";
import { exp, log1p, unary, unaryFormula } from "./unary.js";

/**
 * `max(x, 0)`; its slope at 0 is 0.
 * @flow nn.relu @flow math.relu
 * @example
 * ```ts job
 * // x = [-1, 0, 2]
 * flow.nn.relu(x); // -> [0, 0, 2]
 * ```
 */
export const relu: Unary = (x, options) => emit(reluOp, [x], {}, nameOf("relu", options));
export const reluOp = unary("relu", ({ y, dy }) => [where(holds(greaterOp, y, 0), dy, scalarLike(0, dy))]);

/** Options of `leakyRelu`. */
export interface LeakyReluOptions extends Named {
  /** Slope where x is not above 0; default 0.2. */
  readonly alpha?: number;
}

/**
 * `x` where x > 0, else `alpha x`.
 * @flow nn.leaky_relu
 * @example
 * ```ts job
 * // x = [-1, 2]
 * flow.nn.leakyRelu(x, { alpha: 0.1 }); // -> [-0.1, 2]
 * ```
 */
export function leakyRelu(x: Blob, options: LeakyReluOptions = {}): Blob {
  const { alpha = 0.2, name } = checkOptions("leakyRelu", options, ["alpha", "name"]);
  return emit(leakyReluOp, [x], { alpha }, name);
}
export const leakyReluOp = decomposable("leakyRelu", {
  infer: ([x]: readonly Blob[], _: { readonly alpha: number }) => {
    requireFloat("leakyRelu", x!);
    return x!;
  },
  grad: ({ inputs: [x], dy, attrs: { alpha } }) => [where(holds(greaterOp, x!, 0), dy, multiply(dy, alpha))],
  axisOf: elementwise,
  decompose: ([x], { alpha }) => [where(holds(greaterOp, x!, 0), x!, multiply(x!, alpha))],
});

/**
 * `1 / (1 + e^-x)`.
 * @flow math.sigmoid @flow math.sigmoid_v2
 * @example
 * ```ts job
 * // x = [0, 2]
 * flow.math.sigmoid(x); // -> [0.5, 0.8808]
 * ```
 */
export const sigmoid: Unary = (x, options) => emit(sigmoidOp, [x], {}, nameOf("sigmoid", options));
export const sigmoidOp = unary("sigmoid", ({ y, dy }) => [multiply(dy, multiply(y, subtract(1, y)))]);

/**
 * `x Φ(x) = x/2 (1 + erf(x / √2))`.
 * @flow math.gelu
 * @example
 * ```ts job
 * // x = [-1, 0, 1]
 * flow.math.gelu(x); // -> [-0.15866, 0, 0.84134]
 * ```
 */
export const gelu: Unary = (x, options) => emit(geluOp, [x], {}, nameOf("gelu", options));
export const geluOp = unaryFormula(
  "gelu",
  ({ inputs: [x], dy }) => [geluGrad(x!, dy)],
  (x) => multiply(x, normalCdf(x)),
);

/**
 * The gradient of `gelu`: `dy (Φ(x) + x φ(x))`, x being what gelu got.
 * @flow math.gelu_grad
 * @example
 * ```ts job
 * // x = [-1, 0, 1]
 * // dy = [1, 1, 2]
 * flow.math.geluGrad(x, dy); // -> [-0.08332, 0.5, 2.16663]
 * ```
 */
export function geluGrad(x: Blob, dy: Blob, options?: Named): Blob {
  const last = named("geluGrad", options);
  requireAlike("geluGrad", { x, dy });
  const density = multiply(exp(multiply(square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return multiply(dy, add(normalCdf(x), multiply(x, density)), last);
}

const normalCdf = (x: Blob): Blob => multiply(add(erf(multiply(x, Math.SQRT1_2)), 1), 0.5);

/** `log(1 + e^x)`, as `max(x, 0) + log1p(e^-|x|)`, which neither overflows nor loses small values.  @flow math.softplus */
export const softplus: Unary = (x, options) => emit(softplusOp, [x], {}, nameOf("softplus", options));
export const softplusOp = unaryFormula(
  "softplus",
  ({ inputs: [x], dy }) => [multiply(dy, sigmoid(x!))],
  (x) => add(maximum(x, 0), log1p(exp(negative(abs(x))))),
);

/** `log(sigmoid(x)) = -softplus(-x)`.  @flow math.log_sigmoid */
export const logSigmoid: Unary = (x, options) => {
  requireFloat("logSigmoid", x);
  return negative(softplus(negative(x)), named("logSigmoid", options));
};
