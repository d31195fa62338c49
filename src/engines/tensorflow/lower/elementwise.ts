import type { DType } from "../../../core/dtype.js";
import type { Node } from "../../../graph/graph.js";
import { type Emitter, type Emitters, same, string, through, type as typeAttr } from "./context.js";

/** Small integers are computed in int32 and wrap on the way back. */
const small: readonly DType[] = ["int8", "uint8"];
const arithmetic = (op: string): Emitter<unknown> => through("int32", same(op), small);

/** Whether the second operand is one number for each place of the first one's last axis. */
const isBias = ({ inputs: [x, bias] }: Node): boolean =>
  (x!.dtype === "float32" || x!.dtype === "float64") &&
  x!.shape.length >= 2 &&
  bias!.shape.length === 1 &&
  bias!.shape[0] === x!.shape.at(-1);

export const elementwise = {
  abs: through("int32", same("Abs"), small),
  add: (to, inputs, attrs, types, node) => {
    // Under this name the optimizer that TensorFlow runs on graphs makes it a part of the product or convolution before it.
    if (isBias(node)) return to.one("BiasAdd", inputs, { T: typeAttr(types[0]!.dtype), data_format: string("NHWC") });
    return arithmetic("AddV2")(to, inputs, attrs, types, node);
  },
  cast: (to, [x], { dtype }, _, node) => {
    // C++ leaves the cast of a float beyond a small integer's range open; through int32 it wraps on every machine alike.
    const from = node.inputs[0]!.dtype;
    const wraps = small.includes(dtype) && from.startsWith("float");
    return wraps ? to.cast(to.cast(x!, from, "int32"), "int32", dtype) : to.cast(x!, from, dtype);
  },
  divide: (to, inputs, attrs, types, node) => {
    // Integer quotients go towards 0.
    const op = node.inputs[0]!.dtype.startsWith("float") ? "RealDiv" : "TruncateDiv";
    return arithmetic(op)(to, inputs, attrs, types, node);
  },
  equal: arithmetic("Equal"),
  greater: arithmetic("Greater"),
  greaterEqual: arithmetic("GreaterEqual"),
  isFinite: (to, [x], _, __, node) => to.one("IsFinite", [x!], { T: typeAttr(node.inputs[0]!.dtype) }),
  less: arithmetic("Less"),
  lessEqual: arithmetic("LessEqual"),
  maximum: arithmetic("Maximum"),
  minimum: arithmetic("Minimum"),
  multiply: arithmetic("Mul"),
  negative: arithmetic("Neg"),
  notEqual: arithmetic("NotEqual"),
  sign: arithmetic("Sign"),
  subtract: arithmetic("Sub"),
  where: same("SelectV2"),
} satisfies Partial<Emitters>;
