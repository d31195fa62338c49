import { type Emitter, type Emitters, type } from "./context.js";
import { transpose } from "./structure.js";

/** A kernel that works along the last axis, on any axis. */
const alongAxis =
  (op: string): Emitter<{ readonly axis: number }> =>
  (to, [x], { axis }, [out]) => {
    const T = type(out!.dtype);
    const last = out!.shape.length - 1;
    if (axis === last) return to.one(op, [x!], { T });
    const perm = out!.shape.map((_, i) => (i === axis ? last : i === last ? axis : i));
    return transpose(to, to.one(op, [transpose(to, x!, out!.dtype, perm)], { T }), out!.dtype, perm);
  };

export const loss = {
  logSoftmax: alongAxis("LogSoftmax"),
  softmax: alongAxis("Softmax"),
} satisfies Partial<Emitters>;
