import { type Emitters, inFloat32, same } from "./context.js";

export const unary = {
  acos: inFloat32(same("Acos")),
  acosh: inFloat32(same("Acosh")),
  asin: inFloat32(same("Asin")),
  asinh: inFloat32(same("Asinh")),
  atan: inFloat32(same("Atan")),
  atanh: inFloat32(same("Atanh")),
  ceil: same("Ceil"),
  cos: same("Cos"),
  cosh: inFloat32(same("Cosh")),
  exp: same("Exp"),
  floor: same("Floor"),
  log: same("Log"),
  round: same("Round"),
  sin: same("Sin"),
  sinh: inFloat32(same("Sinh")),
  sqrt: same("Sqrt"),
  tan: inFloat32(same("Tan")),
  tanh: same("Tanh"),
} satisfies Partial<Emitters>;
