import { type Emitters, ints, same } from "./context.js";

export const structure = {
  broadcastTo: (to, [x], { shape }) => to.one("Expand", [x!, to.ints(shape)]),
  identity: same("Identity"),
  later: (to, [x, dy], _, __, node) => {
    // A zero that is made from an element of dy goes into the shape of a Reshape, which copies nothing. Nothing is below negative
    // infinity, which only we know.
    const line = to.one("Reshape", [dy!, to.ints([-1])]);
    const first = to.cast(to.one("Slice", [line, to.ints([0]), to.ints([1])]), "float64");
    const lowest = to.tensor({ dtype: "float64", shape: [1], data: Float64Array.of(-Infinity) });
    const zero = to.cast(to.one("Less", [first, lowest]), "int64");
    const shape = to.one("Add", [to.ints(node.inputs[0]!.shape), zero]);
    return to.one("Reshape", [x!, shape], { allowzero: { int: 1 } });
  },
  observe: same("Identity"),
  reshape: (to, [x], { shape }) => to.reshape(x!, shape),
  transpose: (to, [x], { perm }) => to.one("Transpose", [x!], { perm: ints(perm) }),
} satisfies Partial<Emitters>;
