import type { ReduceAttrs } from "../../../ops/reduce.js";
import { type Emitter, type Emitters, int, throughInt32 } from "./context.js";

/** A reduction; what would be rank 0 becomes `[1]`. */
const reduce =
  (op: string): Emitter<ReduceAttrs> =>
  (to, [x], { axes, keepDims }, [type], node) => {
    if (axes.length === 0) return to.one("Identity", [x!]);
    const toNothing = axes.length === node.inputs[0]!.shape.length;
    const reduced = to.one(op, [x!, to.ints(axes)], { keepdims: int(keepDims || toNothing) });
    return toNothing && !keepDims ? to.one("Reshape", [reduced, to.ints(type!.shape)]) : reduced;
  };

export const reduceRows = {
  reduceMax: reduce("ReduceMax"),
  reduceMin: reduce("ReduceMin"),
  reduceProd: throughInt32(reduce("ReduceProd")),
  reduceSum: throughInt32(reduce("ReduceSum")),
} satisfies Partial<Emitters>;
