import type { DType } from "../core/dtype.js";
import { checkOptions, FlowError, plainText, textOfValue } from "../core/errors.js";
import type { Stream } from "../core/rng.js";
import { broadcastShapes, sameShape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { Blob, type BlobType, type Operand } from "../graph/blob.js";
import type { AxisRule } from "../graph/extent.js";
import type { Attrs } from "../graph/graph.js";
import { textOf } from "../graph/trace.js";

/** The trailing options of every op. */
export interface Named {
  /** Name of the op in its job; automatic where left out. */
  readonly name?: string;
}

/** The options of an op that has a name only, checked. */
export function named(where: string, options: Named = {}): Named {
  return checkOptions(where, options, ["name"]);
}

/** The name in the options of an op that has no others, checked. */
export function nameOf(where: string, options?: Named): string | undefined {
  return options === undefined ? undefined : named(where, options).name;
}

/** What a gradient rule sees. `dy` is the cotangent of the first output (zeros never appear: unused outputs are null in `dys`). */
export interface GradContext<A> {
  readonly inputs: readonly Blob[];
  readonly outputs: readonly Blob[];
  readonly attrs: A;
  readonly y: Blob;
  readonly dy: Blob;
  readonly dys: readonly (Blob | null)[];
}

/**
 * One cotangent per input, null where there is none. The driver sums fan-out, reduces broadcast shapes and checks types.
 */
export type GradRule<A> = (context: GradContext<A>) => readonly (Blob | null)[];

/** What a host op may draw on: the random stream of (seed, job, op name, call), the number of the call, streams of epochs. */
export interface HostContext {
  readonly stream: Stream;
  readonly call: number;
  /** The stream of (seed, job, op name, epoch): for what stays the same over the calls of an epoch. */
  readonly streamOfEpoch: (epoch: number) => Stream;
}

/** The meaning of an op, in one place. `grad: "stop"` is an op through which nothing flows, by definition. */
export interface OpRules<A extends Attrs> {
  readonly infer: (inputs: readonly Blob[], attrs: A) => BlobType | readonly BlobType[];
  readonly grad?: GradRule<A> | "stop";
  /** Where axes of inputs stay whole: what counts of an input along one then counts of the result. None where left out. */
  readonly axisOf?: AxisRule<A>;
}

export type OpKind = "primitive" | "decomposable" | "host";

/** An op as graphs know it. `kind` says who computes it: every engine, other ops, or the host between steps. */
export interface Op<N extends string = string, A extends Attrs = Attrs, K extends OpKind = OpKind> extends OpRules<A> {
  readonly name: N;
  readonly kind: K;
  readonly decompose?: (inputs: readonly Blob[], attrs: A) => readonly Blob[];
  readonly host?: (
    inputs: readonly Tensor[],
    attrs: A,
    context: HostContext,
  ) => readonly Tensor[] | Promise<readonly Tensor[]>;
}

/** An op that every engine must lower. */
export function op<const N extends string, A extends Attrs>(name: N, rules: OpRules<A>): Op<N, A, "primitive"> {
  return Object.freeze({ name, kind: "primitive", ...rules });
}

/** An op that stands for others, until an engine has a better row. */
export function decomposable<const N extends string, A extends Attrs>(
  name: N,
  rules: OpRules<A> & { readonly decompose: (inputs: readonly Blob[], attrs: A) => readonly Blob[] },
): Op<N, A, "decomposable"> {
  return Object.freeze({ name, kind: "decomposable", ...rules });
}

/** An op that the job computes on the host before the native graph runs; `infer` must not depend on values. */
export function hostOp<const N extends string, A extends Attrs>(
  name: N,
  rules: OpRules<A> & {
    readonly host: (
      inputs: readonly Tensor[],
      attrs: A,
      context: HostContext,
    ) => readonly Tensor[] | Promise<readonly Tensor[]>;
  },
): Op<N, A, "host"> {
  return Object.freeze({ name, kind: "host", ...rules });
}

/** No attributes. */
export type None = Readonly<Record<never, never>>;

/** The type of an elementwise op on two operands of one dtype, by numpy broadcasting. */
export function broadcastType(where: string, x: BlobType, y: BlobType): BlobType {
  if (x.dtype !== y.dtype) {
    throw new FlowError(
      "E_DTYPE",
      `${where}: got ${textOf(x)} and ${textOf(y)}, expected equal dtypes; flow.cast one of them`,
    );
  }
  const result = broadcastShapes(x.shape, y.shape);
  if ("conflict" in result) {
    const rank = Math.max(x.shape.length, y.shape.length);
    const at = (blob: BlobType): number => blob.shape[result.conflict - rank + blob.shape.length]!;
    throw new FlowError(
      "E_SHAPE",
      `${where}: cannot broadcast ${textOf(x)} with ${textOf(y)}: dimension ${result.conflict} is ${at(x)} on the left and ${at(y)} on the right`,
    );
  }
  return { dtype: x.dtype, shape: result.shape };
}

/** `axis` made non-negative and checked against a rank. */
export function normalizeAxis(where: string, rank: number, axis: number): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(at) || at < 0 || at >= rank) {
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: axis ${plainText(axis)} is outside [-${rank}, ${rank - 1}] of a rank-${rank} input`,
    );
  }
  return at;
}

/** Sorted distinct axes of `x`; every axis where `axis` is left out. */
export function normalizeAxes(where: string, x: Blob, axis: number | readonly number[] | undefined): number[] {
  requireBlob(where, "x", x);
  const rank = x.shape.length;
  if (axis === undefined) return Array.from({ length: rank }, (_, i) => i);
  const given: unknown = typeof axis === "number" ? [axis] : axis;
  if (!Array.isArray(given))
    throw new FlowError("E_ARGUMENT", `${where}: axis is ${textOfValue(axis)}, expected a number or an array of them`);
  const axes = given.map((a: number) => normalizeAxis(where, rank, a));
  if (new Set(axes).size !== axes.length)
    throw new FlowError("E_ARGUMENT", `${where}: axis [${given.join(", ")}] names one axis twice`);
  return axes.sort((a, b) => a - b);
}

/** E_ARGUMENT unless an argument is a Blob. */
export function requireBlob(where: string, what: string, value: unknown): asserts value is Blob {
  if (!(value instanceof Blob))
    throw new FlowError("E_ARGUMENT", `${where}: ${what} is ${textOfValue(value)}, expected a Blob`);
}

/** E_ARGUMENT unless an argument is a list of Blobs, at least one. */
export function requireBlobs(where: string, what: string, list: unknown): asserts list is readonly [Blob, ...Blob[]] {
  if (!Array.isArray(list) || list.length === 0)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: ${what} is ${textOfValue(list)}, expected a list of at least one Blob`,
    );
  for (const [i, value] of list.entries()) requireBlob(where, `${what}[${i}]`, value);
}

/** E_ARGUMENT unless an argument is an array; what it holds is checked where it is used. */
export function requireList(where: string, what: string, value: unknown): asserts value is readonly unknown[] {
  if (!Array.isArray(value))
    throw new FlowError("E_ARGUMENT", `${where}: ${what} is ${textOfValue(value)}, expected an array`);
}

/** E_ARGUMENT unless an argument is a number. */
export function requireNumber(where: string, what: string, value: unknown): asserts value is number {
  if (typeof value !== "number")
    throw new FlowError("E_ARGUMENT", `${where}: ${what} is ${textOfValue(value)}, expected a number`);
}

/** E_DTYPE unless `dtype` is one that host ops make numbers of. */
export function requireNumbers(where: string, dtype: DType): void {
  if (!["float32", "float64", "int8", "uint8", "int32", "int64"].includes(dtype))
    throw new FlowError(
      "E_DTYPE",
      `${where}: dtype is ${plainText(dtype)}, expected float32, float64, int8, uint8, int32 or int64`,
    );
}

/** E_ARGUMENT unless an argument is a Blob or a number. */
export function requireOperand(where: string, what: string, value: unknown): asserts value is Operand {
  if (!(value instanceof Blob) && typeof value !== "number")
    throw new FlowError("E_ARGUMENT", `${where}: ${what} is ${textOfValue(value)}, expected a Blob or a number`);
}

/** E_DTYPE unless `x` is a Blob of a floating dtype. */
export function requireFloat(where: string, x: Blob, what = "x"): void {
  requireBlob(where, what, x);
  if (!x.dtype.startsWith("float"))
    throw new FlowError("E_DTYPE", `${where}: got ${textOf(x)}, expected a floating dtype; flow.cast it`);
}

/** E_DTYPE or E_SHAPE unless two Blobs are floating and of one type. */
export function requireAlike(where: string, blobs: Readonly<Record<string, Blob>>): void {
  for (const [what, blob] of Object.entries(blobs)) requireFloat(where, blob, what);
  const [[first, a], [second, b]] = Object.entries(blobs) as [[string, Blob], [string, Blob]];
  if (a.dtype !== b.dtype || !sameShape(a.shape, b.shape))
    throw new FlowError(
      a.dtype === b.dtype ? "E_SHAPE" : "E_DTYPE",
      `${where}: ${first} is ${textOf(a)}, ${second} is ${textOf(b)}, expected equal types`,
    );
}
