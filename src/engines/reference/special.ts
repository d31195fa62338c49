import { map } from "./elementwise.js";
import type { Rows } from "./table.js";

// Other methods than the formulas of ops/special, so that each checks the other.

/** 2/√π e^(-x²) Σ 2^n x^(2n+1) / (1 · 3 · ... · (2n+1)): terms of one sign, for |x| up to 3. */
function series(x: number): number {
  let sum = 0;
  for (let term = x, n = 1; sum + term !== sum; n += 2) {
    sum += term;
    term *= (2 * x * x) / (n + 2);
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** e^(-x²)/√π times the continued fraction 1/(x + (1/2)/(x + (2/2)/(x + ...))), for x from 2. */
function fraction(x: number): number {
  let tail = x;
  for (let n = 120; n > 0; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / tail;
}

const erf = (x: number): number => (Math.abs(x) < 2 ? series(x) : Math.sign(x) * (1 - fraction(Math.abs(x))));

/** The complementary error function. */
export function erfc(x: number): number {
  if (x < 2) return 1 - erf(x);
  return x === Infinity ? 0 : fraction(x);
}

/** Lanczos' coefficients for g = 7. */
const lanczos = [
  0.9999999999998099, 676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 0.000009984369578019572, 1.5056327351493116e-7,
];

function lgamma(x: number): number {
  if (Math.abs(x) === Infinity) return Infinity;
  if (x < 0.5) return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * (x - Math.round(x))))) - lgamma(1 - x);
  const sum = lanczos.slice(1).reduce((all, c, i) => all + c / (x + i), lanczos[0]!);
  const t = x + 6.5;
  return (x - 0.5) * Math.log(t) - t + Math.log(Math.sqrt(2 * Math.PI) * sum);
}

export const special = {
  erf: map(erf),
  erfc: map(erfc),
  lgamma: map(lgamma),
} satisfies Partial<Rows>;
