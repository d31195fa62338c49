import { type Emitters, same, type } from "./context.js";

export const structure = {
  broadcastTo: (to, [x], { shape }, [out]) => to.one("BroadcastTo", [x!, to.ints(shape)], { T: type(out!.dtype) }),
  identity: same("Identity"),
  observe: same("Identity"),
  reshape: (to, [x], { shape }, [out]) => to.reshape(x!, out!.dtype, shape),
  transpose: (to, [x], { perm }, [out]) => to.one("Transpose", [x!, to.ints(perm)], { T: type(out!.dtype) }),
} satisfies Partial<Emitters>;
