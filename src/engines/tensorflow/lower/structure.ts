import type { DType } from "../../../core/dtype.js";
import { type Emitters, type Lowering, same, type } from "./context.js";

/** `x` with its axes in another order. */
export const transpose = (to: Lowering, x: string, dtype: DType, perm: readonly number[]): string =>
  to.one("Transpose", [x, to.ints(perm)], { T: type(dtype) });

export const structure = {
  broadcastTo: (to, [x], { shape }, [out]) => to.one("BroadcastTo", [x!, to.ints(shape)], { T: type(out!.dtype) }),
  identity: same("Identity"),
  later: (to, [x, dy], _, [out]) => to.one("Identity", [x!], { T: type(out!.dtype) }, { control: [dy!] }),
  observe: same("Identity"),
  reshape: (to, [x], { shape }, [out]) => to.reshape(x!, out!.dtype, shape),
  transpose: (to, [x], { perm }, [out]) => transpose(to, x!, out!.dtype, perm),
} satisfies Partial<Emitters>;
