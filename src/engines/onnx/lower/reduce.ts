import { sameShape, sizeOf } from "../../../core/shape.js";
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

/** Rows whose ones are a constant of the model; elements from which the product is worth a node more. */
const mostRows = 4096;
const fewestElements = 4096;

/**
 * Sums over the first axes, such as a bias' gradient, as a product with a row of ones: onnxruntime's ReduceSum takes 59 us for those of
 * [100, 512], the product 5.
 */
const sum: Emitter<ReduceAttrs> = (to, inputs, attrs, types, node) => {
  const { dtype, shape } = node.inputs[0]!;
  const first = attrs.axes.length;
  const [rows, columns] = [sizeOf(shape.slice(0, first)), sizeOf(shape.slice(first))];
  const worthIt = rows <= mostRows && Math.min(rows, columns) >= 8 && rows * columns >= fewestElements;
  if (to.portable || dtype !== "float32" || !worthIt || attrs.axes.some((axis, i) => axis !== i))
    return reduce("ReduceSum")(to, inputs, attrs, types, node);
  const ones = to.tensor({ dtype, shape: [1, rows], data: new Float32Array(rows).fill(1) });
  const matrix = shape.length === 2 ? inputs[0]! : to.reshape(inputs[0]!, [rows, columns]);
  const total = to.one("MatMul", [ones, matrix]);
  return sameShape(types[0]!.shape, [1, columns]) ? total : to.reshape(total, types[0]!.shape);
};

export const reduceRows = {
  reduceMax: reduce("ReduceMax"),
  reduceMin: reduce("ReduceMin"),
  reduceProd: throughInt32(reduce("ReduceProd")),
  reduceSum: throughInt32(sum),
} satisfies Partial<Emitters>;
