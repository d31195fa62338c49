import { map } from "./elementwise.js";
import type { Rows } from "./table.js";

/** The nearest integer; of two, the even one. */
function round(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + (Number.isFinite(low) ? 1 : 0);
}

export const unary = {
  acos: map(Math.acos),
  acosh: map(Math.acosh),
  asin: map(Math.asin),
  asinh: map(Math.asinh),
  atan: map(Math.atan),
  atanh: map(Math.atanh),
  ceil: map(Math.ceil),
  cos: map(Math.cos),
  cosh: map(Math.cosh),
  exp: map(Math.exp),
  expm1: map(Math.expm1),
  floor: map(Math.floor),
  log: map(Math.log),
  log1p: map(Math.log1p),
  round: map(round),
  sin: map(Math.sin),
  sinh: map(Math.sinh),
  sqrt: map(Math.sqrt),
  tan: map(Math.tan),
  tanh: map(Math.tanh),
} satisfies Partial<Rows>;
