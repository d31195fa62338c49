import type { ReduceAttrs } from "../../../ops/structure.js";
import { type Emitter, type Emitters, int, ints } from "./context.js";

/** A reduction; what would be rank 0 becomes `[1]`. */
const reduce =
  (op: string): Emitter<ReduceAttrs> =>
  (to, [x], { axes, keepDims }, [type], node) => {
    if (axes.length === 0) return to.one("Identity", [x!]);
    const toNothing = axes.length === node.inputs[0]!.shape.length;
    const reduced = to.one(op, [x!, to.ints(axes)], { keepdims: int(keepDims || toNothing) });
    return toNothing && !keepDims ? to.one("Reshape", [reduced, to.ints(type!.shape)]) : reduced;
  };

export const structure = {
  argmax: (to, [x], { axis }, [type], node) => {
    // The kernel has no int64; ranks above 1 lose the axis, rank 1 keeps it as our [1].
    const input = node.inputs[0]!.dtype === "int64" ? to.cast(x!, "float64") : x!;
    return to.one("Reshape", [
      to.cast(to.one("ArgMax", [input], { axis: int(axis), keepdims: int(0) }), "int32"),
      to.ints(type!.shape),
    ]);
  },
  broadcastTo: (to, [x], { shape }) => to.one("Expand", [x!, to.ints(shape)]),
  reduceMax: reduce("ReduceMax"),
  reduceMin: reduce("ReduceMin"),
  reduceSum: reduce("ReduceSum"),
  reshape: (to, [x], { shape }) => to.one("Reshape", [x!, to.ints(shape)]),
  transpose: (to, [x], { perm }) => to.one("Transpose", [x!], { perm: ints(perm) }),
} satisfies Partial<Emitters>;
