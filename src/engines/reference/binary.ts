import { zip } from "./elementwise.js";
import type { Rows } from "./table.js";

export const binary = {
  atan2: zip(Math.atan2),
  floordiv: zip((x, y) => Math.floor(x / y)),
  mod: zip((x, y) => {
    const rest = x % y;
    return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest;
  }),
  pow: zip((x, y) => (x === 1 ? 1 : x ** y)),
  xdivy: zip((x, y) => (x === 0 ? 0 : x / y)),
  xlogy: zip((x, y) => (x === 0 ? 0 : x * Math.log(y))),
} satisfies Partial<Rows>;
