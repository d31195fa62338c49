import type { Blob } from "../graph/blob.js";
import { emit } from "../graph/trace.js";
import { nameOf } from "./define.js";
import {
  abs,
  add,
  cast,
  divide,
  equalOp,
  greaterOp,
  holds,
  lessOp,
  multiply,
  negative,
  sign,
  square,
  subtract,
  type Unary,
  where,
} from "./elementwise.js";
import { cos, exp, log, polynomial, round, sin, unaryFormula } from "./unary.js";

/** A formula whose rounding needs float64, for a blob of any floating dtype. */
const inDouble =
  (formula: (x: Blob) => Blob) =>
  (x: Blob): Blob =>
    cast(formula(cast(x, "float64")), x.dtype);

// --- error function ------------------------------------------------------------------------------------------------

/** `2/√π ∫ exp(-t²) dt` from 0 to x.  @flow math.erf */
export const erf: Unary = (x, options) => emit(erfOp, [x], {}, nameOf("erf", options));
export const erfOp = unaryFormula(
  "erf",
  ({ inputs: [x], dy }) => [multiply(dy, gaussian(x!))],
  inDouble((x) => {
    const size = abs(x);
    const tail = multiply(sign(x), subtract(1, erfcOfPositive(size)));
    return where(holds(lessOp, size, 0.5), erfOfSmall(x), tail);
  }),
);

/** `1 - erf(x)`, exact where erf is near 1.  @flow math.erfc */
export const erfc: Unary = (x, options) => emit(erfcOp, [x], {}, nameOf("erfc", options));
export const erfcOp = unaryFormula(
  "erfc",
  ({ inputs: [x], dy }) => [negative(multiply(dy, gaussian(x!)))],
  inDouble((x) => {
    const size = abs(x);
    const positive = erfcOfPositive(size);
    const tail = where(holds(lessOp, x, 0), subtract(2, positive), positive);
    return where(holds(lessOp, size, 0.5), subtract(1, erfOfSmall(x)), tail);
  }),
);

/** erf of |x| < 0.5: the Taylor series, whose next term is below 1e-17. */
function erfOfSmall(x: Blob): Blob {
  let factorial = 1;
  const series = Array.from({ length: 13 }, (_, n) => {
    if (n > 0) factorial *= -n;
    return 2 / Math.sqrt(Math.PI) / (factorial * (2 * n + 1));
  });
  return multiply(x, polynomial(square(x), series));
}

/** The derivative of erf. */
const gaussian = (x: Blob): Blob => multiply(exp(negative(square(x))), 2 / Math.sqrt(Math.PI));

/** Chebyshev coefficients in u = 2t - 1 of `log(erfc(z) / t) + z²`, t = 2 / (2 + z), z >= 0: computed with 40 digits. */
const erfcChebyshev = [
  -1.3026537197817094, 0.6419697923564902, 0.019476473204185836, -0.009561514786808632, -0.0009465953444820369,
  0.00036683949785276145, 0.00004252332480690777, -0.000020278578112534242, -0.0000016242900046470256,
  0.0000013036558355805232, 1.5626441722066142e-8, -8.523809591492654e-8, 6.5290544390988515e-9, 5.059343495551469e-9,
  -9.91364156493033e-10, -2.273651222931836e-10, 9.64679110201553e-11, 2.3940380830390924e-12, -6.8860275264975314e-12,
  8.944879273090508e-13, 3.130921399343172e-13, -1.1270822361369361e-13, 3.810905255396653e-16, 7.106097613588855e-15,
  -1.5230282014370957e-15, -9.457494573253365e-17, 1.2102371894164837e-16, -2.816663089627822e-17,
];

/** erfc of z >= 0, by Clenshaw's recurrence. */
function erfcOfPositive(z: Blob): Blob {
  const t = divide(2, add(z, 2));
  const twice = subtract(multiply(t, 4), 2);
  let [last, before] = [multiply(t, 0), multiply(t, 0)];
  for (const c of erfcChebyshev.slice(1).reverse())
    [last, before] = [add(subtract(multiply(twice, last), before), c), last];
  const logarithm = add(subtract(multiply(multiply(twice, 0.5), last), before), erfcChebyshev[0]! / 2);
  return multiply(t, exp(subtract(logarithm, square(z))));
}

// --- gamma function ------------------------------------------------------------------------------------------------

/** Even Bernoulli numbers B2, B4, ... */
const bernoulli = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510];

/** `log |Γ(x)|`. (v0.2 let no gradient through; here it is the digamma function.)  @flow math.lgamma */
export const lgamma: Unary = (x, options) => emit(lgammaOp, [x], {}, nameOf("lgamma", options));
export const lgammaOp = unaryFormula(
  "lgamma",
  ({ inputs: [x], dy }) => [multiply(dy, digamma(x!))],
  inDouble((x) => {
    const reflected = holds(lessOp, x, 0.5);
    const positive = lgammaOfPositive(where(reflected, subtract(1, x), x));
    // Γ(x) Γ(1 - x) = π / sin(πx), with the sine of the distance to the next integer.
    const sine = abs(sin(multiply(subtract(x, round(x)), Math.PI)));
    const value = where(reflected, subtract(subtract(Math.log(Math.PI), log(sine)), positive), positive);
    return where(holds(equalOp, abs(x), Infinity), Infinity, value);
  }),
);

/** Stirling's series, which from 8 on is exact to 1e-15, after Γ(x) = Γ(x + 8) / (x (x + 1) ... (x + 7)). */
function lgammaOfPositive(x: Blob): Blob {
  const { shifted, steps } = shift(x);
  const inverse = divide(1, shifted);
  const series = bernoulli.map((b, i) => b / ((2 * i + 2) * (2 * i + 1)));
  const stirling = add(
    add(subtract(multiply(subtract(shifted, 0.5), log(shifted)), shifted), Math.log(2 * Math.PI) / 2),
    multiply(inverse, polynomial(square(inverse), series)),
  );
  const product = steps.reduce((all, step) => multiply(all, step));
  return where(holds(lessOp, x, 8), subtract(stirling, log(product)), stirling);
}

/** `d/dx log Γ(x)`. */
export function digamma(x: Blob): Blob {
  return inDouble((wide) => {
    const reflected = holds(lessOp, wide, 0.5);
    const positive = digammaOfPositive(where(reflected, subtract(1, wide), wide));
    // ψ(x) = ψ(1 - x) - π / tan(πx)
    const angle = multiply(subtract(wide, round(wide)), Math.PI);
    return where(reflected, subtract(positive, multiply(divide(cos(angle), sin(angle)), Math.PI)), positive);
  })(x);
}

/** log x - 1/(2x) - Σ B2k / (2k x^2k), which from 8 on is exact to 1e-15, after ψ(x) = ψ(x + 8) - Σ 1 / (x + i). */
function digammaOfPositive(x: Blob): Blob {
  const { shifted, steps } = shift(x);
  const inverse = divide(1, shifted);
  const squared = square(inverse);
  const series = bernoulli.map((b, i) => b / (2 * i + 2));
  const asymptotic = subtract(
    subtract(log(shifted), multiply(inverse, 0.5)),
    multiply(squared, polynomial(squared, series)),
  );
  const sum = steps.map((step) => divide(1, step)).reduce((all, part) => add(all, part));
  return where(holds(lessOp, x, 8), subtract(asymptotic, sum), asymptotic);
}

/** x + 8 where x < 8, and x, ..., x + 7. */
function shift(x: Blob): { readonly shifted: Blob; readonly steps: readonly Blob[] } {
  const small = where(holds(greaterOp, 8, x), x, 1);
  return {
    shifted: where(holds(lessOp, x, 8), add(x, 8), x),
    steps: Array.from({ length: 8 }, (_, i) => (i === 0 ? small : add(small, i))),
  };
}
