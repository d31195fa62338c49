import { type Emitters, ints, same } from "./context.js";

export const structure = {
  broadcastTo: (to, [x], { shape }) => to.one("Expand", [x!, to.ints(shape)]),
  identity: same("Identity"),
  observe: same("Identity"),
  reshape: (to, [x], { shape }) => to.one("Reshape", [x!, to.ints(shape)]),
  transpose: (to, [x], { perm }) => to.one("Transpose", [x!], { perm: ints(perm) }),
} satisfies Partial<Emitters>;
