import { FlowError } from "../core/errors.js";
import { keepMask } from "../core/rng.js";
import { type Shape, sizeOf } from "../core/shape.js";
import { zeros } from "../core/tensor.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { currentBuilder, emit } from "../graph/trace.js";
import { hostOp, type Named, nameOf, requireBlob } from "./define.js";
import { cast, multiply } from "./elementwise.js";

/**
 * In a train job: zeroes each element with probability `rate` and scales the others by `1 / (1 - rate)`; in a predict
 * job, or at rate 0, `x` itself. An element is kept where u >= rate. The mask depends on (seed, job, op name, call)
 * alone, so it is the same on every engine and after a resume.
 * @flow nn.dropout
 * @example
 * ```ts job
 * // x = [1, 2]
 * flow.nn.dropout(x, 0.5); // -> [1, 2]
 * ```
 */
export function dropout(x: Blob, rate: number, options?: Named): Blob {
  const name = nameOf("dropout", options);
  requireBlob("dropout", "x", x);
  if (!(typeof rate === "number" && rate >= 0 && rate < 1))
    throw new FlowError("E_ARGUMENT", `dropout: rate is ${rate}, expected 0 <= rate < 1`);
  if (!currentBuilder("dropout").training || rate === 0) return x;
  const mask = emit(
    dropoutMaskOp,
    [],
    { shape: x.shape, rate },
    name === undefined ? undefined : `${name}-dropout_random_mask_like`,
  );
  return multiply(multiply(x, cast(mask, x.dtype)), 1 / (1 - rate), name === undefined ? {} : { name });
}

/** uint8 ones where kept; drawn on the host, 16 random bits a decision. */
export const dropoutMaskOp = hostOp("dropoutMask", {
  infer: (_, { shape }: { readonly shape: Shape; readonly rate: number }): BlobType => ({ dtype: "uint8", shape }),
  grad: "stop",
  host: (_, { shape, rate }, { stream }) => {
    const mask = zeros("uint8", shape);
    keepMask(stream, sizeOf(shape), rate, mask.data);
    return [mask];
  },
});
