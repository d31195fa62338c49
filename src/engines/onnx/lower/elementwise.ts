import { sameShape, sizeOf } from "../../../core/shape.js";
import { zeros } from "../../../core/tensor.js";
import type { Blob } from "../../../graph/blob.js";
import { constantValue } from "../../../ops/sources.js";
import { onnxElementType } from "../encode.js";
import { type Emitter, type Emitters, int, same, throughInt32 } from "./context.js";

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

/** Elements from which three passes on all threads are faster than Where, which makes three on one: 4.2 ms against 6.2 for 6.4 million. */
const sizeWorthBits = 4096;

/**
 * `x` where the condition holds, else 0, as a product of integers: the bits of x times 0 or 1. A product of floats would make NaN of
 * infinities that are not chosen. The casts of bits copy nothing where x has no other use.
 */
const choice: Emitter<unknown> = (to, [condition, x, y], attrs, types, node) => {
  const [{ dtype, shape }] = types as readonly [Blob];
  const isWhole = [0, 1].every((i) => sameShape(node.inputs[i]!.shape, shape));
  const isZero = Object.is(constantValue(node.inputs[2]!), 0);
  if (to.portable || dtype !== "float32" || !isWhole || !isZero || sizeOf(shape) < sizeWorthBits)
    return broadcast("Where")(to, [condition!, x!, y!], attrs, types, node);
  const bits = to.one("BitCast", [x!], { to: int(onnxElementType.int32) });
  const chosen = to.one("Mul", [bits, to.cast(condition!, "int32")]);
  return to.one("BitCast", [chosen], { to: int(onnxElementType.float32) });
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
  where: throughInt32(choice, ["int8"]),
} satisfies Partial<Emitters>;
