import { type DType, dtypes } from "../core/dtype.js";
import { checkOptions, FlowError, plainText, textOfValue } from "../core/errors.js";
import { type Shape, sizeOf, typeText } from "../core/shape.js";
import { type ArrayLike, copyInto, NdArray, type Tensor, zeros } from "../core/tensor.js";
import type { Blob } from "../graph/blob.js";

/** How a value of one device crosses the edge of a job: as an array, a list of one array, or a list of such lists. */
export type Form = "Numpy" | "ListNumpy" | "ListListNumpy";

/** An argument of a job: dtype and shape of what each call feeds, and in which form. */
export interface Placeholder<D extends DType = DType, F extends Form = Form> {
  /** Element type of the feeds. */
  readonly dtype: D;
  /** Their shape. A first dimension of null may differ from call to call. */
  readonly shape: readonly (number | null)[];
  /** An array, a list of one, or a list of such. */
  readonly form: F;
}

/** The shape of a placeholder: a first dimension of null may differ from call to call. */
export type OpenShape = readonly number[] | readonly [first: number | null, ...rest: number[]];

/** Options of placeholders. */
export interface PlaceholderOptions<D extends DType | undefined = DType | undefined> {
  /** Default float32. */
  readonly dtype?: D;
  /** Accepted as documented; on one device it changes nothing. */
  readonly batchAxis?: number | null;
  /** Accepted as documented for the older `FixedTensorDef` and its like; without effect. */
  readonly name?: string;
}

/** What a job takes: a placeholder, or a tuple of them. */
export type Argument = Placeholder | readonly Placeholder[];

/** The blobs that stand for an argument inside a job. */
export type BlobsIn<A extends Argument> = A extends readonly Placeholder[] ? { readonly [K in keyof A]: Blob } : Blob;

/** What a call feeds for a placeholder. */
export type Feed<P> =
  P extends Placeholder<infer D, infer F>
    ? {
        Numpy: ArrayLike<D>;
        ListNumpy: readonly ArrayLike<D>[];
        ListListNumpy: readonly (readonly ArrayLike<D>[])[];
      }[F]
    : never;

/** What a call feeds for an argument. */
export type FeedOf<A extends Argument> = A extends readonly Placeholder[]
  ? { readonly [K in keyof A]: Feed<A[K]> }
  : Feed<A>;

/** A placeholder of a form; `where` begins its errors. */
export function makePlaceholder<F extends Form>(
  where: string,
  form: F,
  shape: readonly (number | null)[],
  options: PlaceholderOptions = {},
): Placeholder<DType, F> {
  checkOptions(where, options, ["dtype", "batchAxis", "name"]);
  const { dtype = "float32", batchAxis = 0 } = options;
  if (!Array.isArray(shape) || shape.length === 0)
    throw new FlowError("E_SHAPE", `${where}: shape is ${plainText(shape)}, expected an array of positive integers`);
  for (const [axis, size] of shape.entries()) {
    if (size === null && axis > 0)
      throw new FlowError(
        "E_SHAPE",
        `${where}: dimension ${axis} of ${plainText(shape)} is null; only the first may be left open`,
      );
    if (size !== null && !(Number.isInteger(size) && (size as number) > 0))
      throw new FlowError(
        "E_SHAPE",
        `${where}: shape is ${plainText(shape)}, expected positive integers (null for a first dimension that may differ from call to call)`,
      );
  }
  if (!dtypes().includes(dtype))
    throw new FlowError("E_DTYPE", `${where}: dtype is ${plainText(dtype)}, expected one of ${dtypes().join(", ")}`);
  if (batchAxis !== null && !(Number.isInteger(batchAxis) && batchAxis >= -shape.length && batchAxis < shape.length))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: batchAxis is ${plainText(batchAxis)}, expected null or an axis of ${shape.length}`,
    );
  return Object.freeze({ dtype, shape: Object.freeze([...shape]), form });
}

/** The placeholders of arguments, in order; E_ARGUMENT where something else is among them. */
export function placeholdersOf(job: string, args: readonly unknown[]): readonly Placeholder[] {
  const check = (value: unknown, path: string): Placeholder => {
    if (
      value === null ||
      typeof value !== "object" ||
      !("form" in value) ||
      !Array.isArray((value as Placeholder).shape)
    )
      throw new FlowError(
        "E_ARGUMENT",
        `globalFunction: placeholder ${path} of job '${job}' is ${textOfValue(value)}, expected tp.Numpy.Placeholder(shape, { dtype })`,
      );
    return value as Placeholder;
  };
  return args.flatMap((value, i) =>
    Array.isArray(value) ? value.map((entry, j) => check(entry, `${i}[${j}]`)) : [check(value, String(i))],
  );
}

/** True where calls may feed arrays of different shapes: the job is compiled once for each. */
export function isDynamic({ shape, form }: Placeholder): boolean {
  return form !== "Numpy" || shape.includes(null);
}

// Any batch will do to find a job's variables; 2 keeps batches from broadcasting by accident, as 1 would.
const unknownSize = 2;

/** A shape a placeholder can be traced with before any call has said which. */
export function exampleShape({ shape }: Placeholder): Shape {
  return shape.map((size) => size ?? unknownSize);
}

/** Copies of what a call feeds, in the order of the placeholders: new tensors, or what `targets` holds for them. */
export function copyFeeds(
  job: string,
  args: readonly Argument[],
  feeds: readonly unknown[],
  targets: readonly Tensor[] = [],
): readonly Tensor[] {
  if (feeds.length !== args.length)
    throw new FlowError("E_ARGUMENT", `job '${job}': got ${feeds.length} arguments, expected ${args.length}`);
  let next = 0;
  return args.flatMap((arg, i) => {
    const where = `job '${job}', argument ${i}`;
    const feed = feeds[i];
    if ("form" in arg) return [copyFeed(where, arg, feed, targets[next++])];
    if (!Array.isArray(feed) || feed.length !== arg.length)
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: got ${Array.isArray(feed) ? `a list of ${feed.length}` : textOfValue(feed)}, expected a list of ${arg.length}`,
      );
    return arg.map((part, j) => copyFeed(`${where}[${j}]`, part, feed[j], targets[next++]));
  });
}

function copyFeed(where: string, placeholder: Placeholder, feed: unknown, target: Tensor | undefined): Tensor {
  const { dtype, shape, form } = placeholder;
  const value =
    form === "Numpy"
      ? feed
      : onlyEntry(where, form === "ListNumpy" ? feed : onlyEntry(where, feed, "list"), "array", placeholder);
  const tensor =
    target ?? zeros(dtype, isDynamic(placeholder) ? fedShape(where, placeholder, value) : (shape as Shape));
  copyInto(where, value, tensor);
  return tensor;
}

/** The one entry of a list for one device. */
function onlyEntry(where: string, list: unknown, what: string, placeholder?: Placeholder): unknown {
  const expected = placeholder === undefined ? "" : ` (${textOf(placeholder)})`;
  if (!Array.isArray(list))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: got ${textOfValue(list)}, expected a list of 1 ${what}, one per device${expected}; write [x]`,
    );
  if (list.length !== 1)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: got a list of ${list.length}, expected a list of 1 ${what}, one per device${expected}`,
    );
  return list[0];
}

/** The shape that a feed of a dynamic placeholder has. */
function fedShape(where: string, placeholder: Placeholder, value: unknown): Shape {
  const { shape } = placeholder;
  const expected = textOf(placeholder);
  const given =
    value instanceof NdArray ? value.shape : ArrayBuffer.isView(value) ? undefined : nestedShape(value, shape.length);
  if (given === undefined) {
    // A typed array has no shape: the open dimension is what its length leaves.
    const rest = sizeOf(shape.slice(1) as Shape);
    const { length } = value as { length?: number };
    if (shape[0] !== null) return shape as Shape;
    if (length === undefined || length === 0 || length % rest !== 0)
      throw new FlowError(
        "E_SHAPE",
        `${where}: got ${length ?? 0} elements, expected ${expected}: a multiple of ${rest}, at least ${rest}`,
      );
    return [length / rest, ...(shape.slice(1) as Shape)];
  }
  const fits =
    given.length === shape.length &&
    given.every((size) => size > 0) &&
    (shape[0] === null
      ? given.slice(1).every((size, i) => size === shape[i + 1])
      : sizeOf(given) <= sizeOf(shape as Shape));
  if (!fits)
    throw new FlowError(
      "E_SHAPE",
      `${where}: got ${value instanceof NdArray ? typeText(value.dtype, given) : `the shape [${given.join(",")}]`}, expected ${expected}${shape[0] === null ? "" : ` or fewer elements of rank ${shape.length}`}`,
    );
  return given;
}

/** Lengths of nested arrays, to `rank`; what they hold is checked when they are copied. */
function nestedShape(value: unknown, rank: number): Shape {
  const shape: number[] = [];
  for (let at = value; Array.isArray(at) && shape.length < rank; at = at[0]) shape.push(at.length);
  return shape;
}

/** `float32[?,28,28]`. */
export function textOf({ dtype, shape }: Placeholder): string {
  return `${dtype}[${shape.map((size) => size ?? "?").join(",")}]`;
}

/** A key of the shapes of one call's arguments. */
export function shapeKey(shapes: readonly Shape[]): string {
  return shapes.map((shape) => `[${shape.join(",")}]`).join("");
}
