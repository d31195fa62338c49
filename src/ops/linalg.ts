import { checkOptions, FlowError, plainText } from "../core/errors.js";
import { sameShape } from "../core/shape.js";
import type { Blob, BlobType } from "../graph/blob.js";
import { emit, textOf } from "../graph/trace.js";
import { type Named, op, requireBlob, requireFloat } from "./define.js";
import { add } from "./elementwise.js";
import { reshape } from "./structure.js";

/** Options of `matmul`. */
export interface MatmulOptions extends Named {
  /** Use `a` with its last two axes swapped; default false. */
  readonly transposeA?: boolean;
  /** Use `b` with its last two axes swapped; default false. */
  readonly transposeB?: boolean;
}
export type MatmulAttrs = { readonly transposeA: boolean; readonly transposeB: boolean };

/**
 * Matrix product over the last two axes; ranks and leading dimensions must be equal.
 * @flow matmul @flow linalg.matmul
 * @example
 * ```ts job
 * // a = [[1, 2], [3, 4]]
 * // b = [[1, 0], [0, 2]]
 * flow.matmul(a, b); // -> [[1, 4], [3, 8]]
 * flow.matmul(a, b, { transposeA: true }); // -> [[1, 6], [2, 8]]
 * ```
 */
export function matmul(a: Blob, b: Blob, options: MatmulOptions = {}): Blob {
  const known = ["transposeA", "transposeB", "name"];
  const { transposeA = false, transposeB = false, name } = checkOptions("matmul", options, known);
  return emit(matmulOp, [a, b], { transposeA, transposeB }, name);
}
export const matmulOp = op("matmul", {
  infer: ([a, b], { transposeA, transposeB }: MatmulAttrs): BlobType => {
    requireFloat("matmul", a!);
    const rank = a!.shape.length;
    const fail = (why: string): never => {
      throw new FlowError(
        "E_SHAPE",
        `matmul: cannot multiply ${textOf(a!)}${transposeA ? " (transposed)" : ""} by ${textOf(b!)}${transposeB ? " (transposed)" : ""}: ${why}`,
      );
    };
    if (a!.dtype !== b!.dtype)
      throw new FlowError(
        "E_DTYPE",
        `matmul: got ${textOf(a!)} and ${textOf(b!)}, expected equal dtypes; flow.cast one of them`,
      );
    if (rank < 2 || b!.shape.length !== rank) fail("ranks must be equal and at least 2");
    if (!sameShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2))) fail("leading dimensions differ");
    const [m, k] = transposed(a!.shape.slice(-2), transposeA);
    const [k2, n] = transposed(b!.shape.slice(-2), transposeB);
    if (k !== k2) fail(`inner dimensions ${k} and ${k2} differ`);
    return { dtype: a!.dtype, shape: [...a!.shape.slice(0, -2), m, n] };
  },
  // C = A B: dA = dC Bᵀ, dB = Aᵀ dC, with the transposes of A and B folded in.
  grad: ({ inputs: [a, b], dy, attrs: { transposeA, transposeB } }) => [
    transposeA
      ? matmul(b!, dy, { transposeA: transposeB, transposeB: true })
      : matmul(dy, b!, { transposeB: !transposeB }),
    transposeB
      ? matmul(dy, a!, { transposeA: true, transposeB: transposeA })
      : matmul(a!, dy, { transposeA: !transposeA }),
  ],
});

function transposed(dims: readonly number[], swap: boolean): [number, number] {
  return swap ? [dims[1]!, dims[0]!] : [dims[0]!, dims[1]!];
}

/** Options of `biasAdd`. */
export interface BiasAddOptions extends Named {
  /** Axis 1 where left out or beginning `NC`; the last axis where it ends in `C`. */
  readonly dataFormat?: string;
}

/**
 * Adds a rank-1 bias along the channel axis.
 * @flow nn.bias_add
 * @example
 * ```ts job
 * // x = [[1, 2], [3, 4]]
 * // b = [10, 20]
 * flow.nn.biasAdd(x, b); // -> [[11, 22], [13, 24]]
 * ```
 */
export function biasAdd(value: Blob, bias: Blob, options: BiasAddOptions = {}): Blob {
  const { dataFormat, name } = checkOptions("biasAdd", options, ["dataFormat", "name"]);
  requireBlob("biasAdd", "value", value);
  requireBlob("biasAdd", "bias", bias);
  const format = dataFormat === undefined ? undefined : String(dataFormat).toUpperCase();
  if (format !== undefined && !format.startsWith("NC") && !(format.startsWith("N") && format.endsWith("C"))) {
    throw new FlowError(
      "E_ARGUMENT",
      `biasAdd: dataFormat ${plainText(dataFormat)} is unknown, expected one such as 'NCHW' or 'NHWC'`,
    );
  }
  const rank = value.shape.length;
  const axis = format === undefined || format.startsWith("NC") ? 1 : rank - 1;
  const channels = value.shape[axis];
  if (channels === undefined || bias.shape.length !== 1 || bias.shape[0] !== channels) {
    throw new FlowError(
      "E_SHAPE",
      `biasAdd: bias is ${textOf(bias)}, expected shape [${channels ?? "?"}], the size of axis ${axis} of ${textOf(value)}`,
    );
  }
  if (bias.dtype !== value.dtype)
    throw new FlowError(
      "E_DTYPE",
      `biasAdd: value is ${textOf(value)}, bias is ${textOf(bias)}, expected equal dtypes; flow.cast one of them`,
    );
  const shaped = axis === rank - 1 ? bias : reshape(bias, [channels, ...Array<number>(rank - 1 - axis).fill(1)]);
  return add(value, shaped, name === undefined ? {} : { name });
}
