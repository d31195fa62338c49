import { stridesOf } from "../../core/shape.js";
import { broadcastIndices } from "./array.js";
import type { Rows } from "./table.js";

export const structure = {
  broadcastTo: ([x], { shape }) => Float64Array.from(broadcastIndices(x!.shape, shape), (i) => x!.data[i]!),
  identity: ([x]) => x!.data,
  later: ([x]) => x!.data,
  observe: ([x]) => x!.data,
  reshape: ([x]) => x!.data,
  transpose: ([x], { perm }, [type]) => {
    const from = stridesOf(x!.shape);
    const steps = stridesOf(type!.shape);
    return x!.data.map(
      (_, i) =>
        x!.data[perm.reduce((at, axis, n) => at + (Math.floor(i / steps[n]!) % type!.shape[n]!) * from[axis]!, 0)]!,
    );
  },
} satisfies Partial<Rows>;
