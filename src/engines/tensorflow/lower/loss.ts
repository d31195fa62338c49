import { type Emitter, type Emitters, type } from "./context.js";

/** A kernel that works along the last axis, on any axis. */
const alongAxis =
  (op: string): Emitter<{ readonly axis: number }> =>
  (to, [x], { axis }, [out]) => {
    const T = type(out!.dtype);
    const last = out!.shape.length - 1;
    if (axis === last) return to.one(op, [x!], { T });
    const perm = to.ints(out!.shape.map((_, i) => (i === axis ? last : i === last ? axis : i)));
    return to.one("Transpose", [to.one(op, [to.one("Transpose", [x!, perm], { T })], { T }), perm], { T });
  };

export const loss = {
  logSoftmax: alongAxis("LogSoftmax"),
  softmax: alongAxis("Softmax"),
} satisfies Partial<Emitters>;
