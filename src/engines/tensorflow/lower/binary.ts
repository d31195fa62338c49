import { type Emitters, same, through } from "./context.js";

export const binary = {
  // FloorMod has the sign of y, as our mod.
  mod: through("int32", same("FloorMod"), ["int8", "uint8"]),
  pow: through("int32", same("Pow"), ["int8", "uint8"]),
} satisfies Partial<Emitters>;
