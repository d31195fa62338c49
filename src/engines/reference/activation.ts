import { map } from "./elementwise.js";
import { erfc } from "./special.js";
import type { Rows } from "./table.js";

export const activation = {
  gelu: map((x) => 0.5 * x * erfc(-x * Math.SQRT1_2)),
  leakyRelu: ([x], { alpha }) => map((v) => (v > 0 ? v : v * alpha))([x!]),
  relu: map((x) => (x > 0 || Number.isNaN(x) ? x : 0)),
  sigmoid: map((x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)))),
  softplus: map((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
} satisfies Partial<Rows>;
