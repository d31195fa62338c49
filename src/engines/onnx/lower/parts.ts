import { zeros } from "../../../core/tensor.js";
import { type Emitters, int } from "./context.js";

export const parts = {
  concat: (to, inputs, { axis }) => to.one("Concat", inputs, { axis: int(axis) }),
  pad: (to, [x], { before, after, value }, [type]) => {
    const filler = zeros(type!.dtype, [1]);
    filler.data[0] = type!.dtype === "int64" ? BigInt(value) : Number(value);
    return to.one("Pad", [x!, to.ints([...before, ...after]), to.tensor(filler)]);
  },
  slice: (to, [x], { starts, sizes, steps }, _, node) => {
    // A backward slice down to element 0 ends before it: at -(d + 1), which counts from the end.
    const ends = starts.map((start, i) => {
      const end = start + sizes[i]! * steps[i]!;
      return end < 0 ? -(node.inputs[0]!.shape[i]! + 1) : end;
    });
    const axes = starts.map((_, i) => i);
    return to.one("Slice", [x!, to.ints(starts), to.ints(ends), to.ints(axes), to.ints(steps)]);
  },
} satisfies Partial<Emitters>;
