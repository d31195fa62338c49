import { type Emitters, inFloat32, same } from "./context.js";

export const special = {
  erf: inFloat32(same("Erf")),
} satisfies Partial<Emitters>;
