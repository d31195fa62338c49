import { type Emitters, inFloats, same } from "./context.js";

export const special = {
  erf: inFloats(same("Erf")),
} satisfies Partial<Emitters>;
