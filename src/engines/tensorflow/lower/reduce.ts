import type { ReduceAttrs } from "../../../ops/reduce.js";
import { bool, type Emitter, type Emitters, through, type } from "./context.js";

/** A reduction; what would be rank 0 becomes `[1]`. */
const reduce = (op: string): Emitter<unknown> =>
  through(
    "int32",
    (to, [x]: readonly string[], { axes, keepDims }: ReduceAttrs, [out]) => {
      const T = type(out!.dtype);
      const toNothing = out!.shape.length === 1 && !keepDims;
      if (axes.length === 0) return to.one("Identity", [x!], { T });
      const reduced = to.one(op, [x!, to.ints(axes)], { T, keep_dims: bool(keepDims) });
      return toNothing ? to.reshape(reduced, out!.dtype, out!.shape) : reduced;
    },
    ["int8", "uint8"],
  );

export const reduceRows = {
  reduceMax: reduce("Max"),
  reduceMin: reduce("Min"),
  reduceProd: reduce("Prod"),
  reduceSum: reduce("Sum"),
} satisfies Partial<Emitters>;
