import { sizeOf } from "../../../core/shape.js";
import { type Emitters, float, int, onlyWhere } from "./context.js";

export const norm = {
  // The kernel wants a scale of all the normalized axes: ones, where they are not many.
  standardize: onlyWhere(
    ({ inputs: [x], attrs }) => {
      const size = sizeOf(x!.shape.slice(attrs.begin as number));
      return x!.dtype === "float32" && size > 0 && size <= 65536;
    },
    (to, [x], { begin, epsilon }, types) => {
      const shape = types[0]!.shape.slice(begin);
      const ones = to.tensor({ dtype: "float32", shape, data: new Float32Array(sizeOf(shape)).fill(1) });
      const attributes = { axis: int(begin), epsilon: float(epsilon) };
      const [normal, , inverse] = to.nodeOf("LayerNormalization", [x!, ones], attributes, { outputs: 3 });
      return [normal!, inverse!];
    },
  ),
} satisfies Partial<Emitters>;
