import { zeros } from "../../../core/tensor.js";
import { type Emitters, same, throughInt32 } from "./context.js";

export const elementwise = {
  abs: same("Abs"),
  add: throughInt32(same("Add")),
  cast: (to, [x], { dtype }, _, node) => {
    // Cast rounds numbers towards 0 and makes 0 and 1 of bools, but onnxruntime has no direct way from float to small
    // integers beyond their range: int32 in between wraps on every machine alike.
    const small = dtype === "int8" || dtype === "uint8";
    return to.cast(small && node.inputs[0]!.dtype.startsWith("float") ? to.cast(x!, "int32") : x!, dtype);
  },
  divide: throughInt32(same("Div")),
  equal: throughInt32(same("Equal")),
  greater: throughInt32(same("Greater")),
  greaterEqual: throughInt32(same("GreaterOrEqual")),
  // x - x is 0 where x is finite, else NaN, which equals nothing.
  isFinite: (to, [x], _, __, node) =>
    to.one("Equal", [to.one("Sub", [x!, x!]), to.tensor(zeros(node.inputs[0]!.dtype, [1]))]),
  less: throughInt32(same("Less")),
  lessEqual: throughInt32(same("LessOrEqual")),
  maximum: throughInt32(same("Max")),
  minimum: throughInt32(same("Min")),
  multiply: throughInt32(same("Mul")),
  negative: throughInt32(same("Neg"), ["uint8"]),
  notEqual: throughInt32((to, inputs) => to.one("Not", [to.one("Equal", inputs)])),
  sign: same("Sign"),
  subtract: throughInt32(same("Sub")),
  where: throughInt32(same("Where"), ["int8"]),
} satisfies Partial<Emitters>;
