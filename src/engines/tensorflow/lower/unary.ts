import { type Emitters, same } from "./context.js";

export const unary = {
  ceil: same("Ceil"),
  cos: same("Cos"),
  exp: same("Exp"),
  floor: same("Floor"),
  log: same("Log"),
  round: same("Round"),
  sin: same("Sin"),
  sqrt: same("Sqrt"),
  tanh: same("Tanh"),
} satisfies Partial<Emitters>;
