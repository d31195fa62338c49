import { sizeOf } from "../../../core/shape.js";
import { zeros } from "../../../core/tensor.js";
import { type Emitter, type Emitters, same, throughInt32 } from "./context.js";

/**
 * As `same`, for operands that are broadcast. Where a result ends in ones, onnxruntime runs through it one element at a time, unless
 * its operands have ones there too: `[2048, 512, 1, 1] * [1]` takes 5 ns an element, `* [1, 1, 1, 1]` a tenth.
 */
const broadcast =
  (op: string): Emitter<unknown> =>
  (to, inputs, _, [type], node) => {
    const { shape } = type!;
    const aligned = inputs.map((input, i) => {
      const rank = node.inputs[i]!.shape.length;
      const ends = shape.slice(-Math.max(rank, 1));
      const runsSlow = rank < shape.length && ends.every((size) => size === 1) && sizeOf(shape) > 1;
      return runsSlow && !to.portable
        ? to.reshape(
            input,
            shape.map(() => 1),
          )
        : input;
    });
    return to.one(op, aligned);
  };

export const elementwise = {
  abs: same("Abs"),
  add: throughInt32(broadcast("Add")),
  cast: (to, [x], { dtype }, _, node) => {
    // Cast rounds numbers towards 0 and makes 0 and 1 of bools, but onnxruntime has no direct way from float to small
    // integers beyond their range: int32 in between wraps on every machine alike.
    const small = dtype === "int8" || dtype === "uint8";
    return to.cast(small && node.inputs[0]!.dtype.startsWith("float") ? to.cast(x!, "int32") : x!, dtype);
  },
  divide: throughInt32(broadcast("Div")),
  equal: throughInt32(broadcast("Equal")),
  greater: throughInt32(broadcast("Greater")),
  greaterEqual: throughInt32(broadcast("GreaterOrEqual")),
  // x - x is 0 where x is finite, else NaN, which equals nothing.
  isFinite: (to, [x], _, __, node) =>
    to.one("Equal", [to.one("Sub", [x!, x!]), to.tensor(zeros(node.inputs[0]!.dtype, [1]))]),
  less: throughInt32(broadcast("Less")),
  lessEqual: throughInt32(broadcast("LessOrEqual")),
  maximum: throughInt32(broadcast("Max")),
  minimum: throughInt32(broadcast("Min")),
  multiply: throughInt32(broadcast("Mul")),
  negative: throughInt32(same("Neg"), ["uint8"]),
  notEqual: throughInt32((to, inputs) => to.one("Not", [to.one("Equal", inputs)])),
  sign: same("Sign"),
  subtract: throughInt32(broadcast("Sub")),
  where: throughInt32(broadcast("Where"), ["int8"]),
} satisfies Partial<Emitters>;
