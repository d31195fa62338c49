import { type DType, dtypes } from "../core/dtype.js";
import { checkOptions, FlowError } from "../core/errors.js";
import type { Shape } from "../core/shape.js";
import type { ArrayLike, NdArray } from "../core/tensor.js";
import { Blob } from "../graph/blob.js";

/** An argument of a job: dtype and shape of what each call feeds. */
export interface Placeholder<D extends DType = DType> {
  /** Element type of the feeds. */
  readonly dtype: D;
  /** Their shape. */
  readonly shape: Shape;
}

/** Options of placeholders. */
export interface PlaceholderOptions<D extends DType | undefined> {
  /** Default float32. */
  readonly dtype?: D;
  /** Accepted as documented; on one device it changes nothing. */
  readonly batchAxis?: number | null;
}

function placeholder(shape: Shape, options?: PlaceholderOptions<undefined>): Placeholder<"float32">;
function placeholder<const D extends DType>(shape: Shape, options: PlaceholderOptions<D>): Placeholder<D>;
function placeholder(shape: Shape, options: PlaceholderOptions<DType | undefined> = {}): Placeholder {
  const where = "tp.Numpy.Placeholder";
  checkOptions(where, options, ["dtype", "batchAxis"]);
  const { dtype = "float32" } = options;
  if (!Array.isArray(shape) || shape.length === 0 || !shape.every((d) => Number.isInteger(d) && d > 0)) {
    throw new FlowError(
      "E_SHAPE",
      `${where}: shape is ${JSON.stringify(shape)}, expected an array of positive integers`,
    );
  }
  if (!dtypes.includes(dtype) || dtype === "bool")
    throw new FlowError(
      "E_DTYPE",
      `${where}: dtype is ${String(dtype)}, expected one of ${dtypes.filter((d) => d !== "bool").join(", ")}`,
    );
  return Object.freeze({ dtype, shape: Object.freeze([...shape]) });
}

/** As a return type: an NdArray. `Placeholder` declares an argument of a job. */
export interface NumpyType {
  /** Tells it from other return types. */
  readonly kind: "Numpy";
  /** Declares an argument: shape, and dtype (default float32). */
  readonly Placeholder: typeof placeholder;
}

/** The documented `oneflow.typing`.  @flow typing.Numpy @flow typing.Numpy.Placeholder */
export const tp: {
  /** An NdArray: the type of a placeholder or of a result. */
  readonly Numpy: NumpyType;
} = Object.freeze({
  Numpy: Object.freeze({ kind: "Numpy", Placeholder: placeholder }),
});

/** What stands for the documented return annotation: `tp.Numpy`, or arrays and objects of such. */
export type Returns = NumpyType | readonly Returns[] | { readonly [key: string]: Returns };

/** Blobs a job function must return for a declared type. */
export type BlobsOf<R> = R extends { readonly kind: "Numpy" }
  ? Blob
  : R extends readonly unknown[]
    ? { readonly [K in keyof R]: BlobsOf<R[K]> }
    : R extends object
      ? { readonly [K in keyof R]: BlobsOf<R[K]> }
      : never;
/** What a call of the job resolves to for a declared type. */
export type ResultOf<R> = R extends { readonly kind: "Numpy" }
  ? NdArray
  : R extends readonly unknown[]
    ? { readonly [K in keyof R]: ResultOf<R[K]> }
    : R extends object
      ? { readonly [K in keyof R]: ResultOf<R[K]> }
      : never;

/** What calls of a job without declared returns resolve to: every Blob its function returned becomes an NdArray. */
export type ValueOf<T> = T extends Blob
  ? NdArray
  : T extends null | undefined
    ? null
    : T extends readonly unknown[]
      ? { readonly [K in keyof T]: ValueOf<T[K]> }
      : T extends object
        ? { readonly [K in keyof T]: ValueOf<T[K]> }
        : never;

/** Blobs for the placeholders of a job. */
export type BlobArguments<P extends readonly Placeholder[]> = { readonly [K in keyof P]: Blob };
/** What a call feeds for them. */
export type Feeds<P extends readonly Placeholder[]> = {
  [K in keyof P]: P[K] extends Placeholder<infer D> ? ArrayLike<D> : never;
};

/** How a job's values go back into the form it returned. */
export type Rebuild = (values: readonly NdArray[]) => unknown;

/** Collects the blobs a job returned, checked against `returns` where declared, and how to rebuild that form from arrays. */
export function flatten(job: string, value: unknown, returns: Returns | undefined, blobs: Blob[]): Rebuild {
  const visit = (part: unknown, type: Returns | undefined, path: string): Rebuild => {
    const fail = (expected: string): never => {
      const got =
        part instanceof Blob
          ? "a Blob"
          : part === null
            ? "null"
            : Array.isArray(part)
              ? `an array of ${part.length}`
              : typeof part;
      throw new FlowError(
        "E_RETURNS",
        `job '${job}': its function returned ${got}${path === "" ? "" : ` at ${path}`}, expected ${expected}`,
      );
    };
    if (type === tp.Numpy) return part instanceof Blob ? leaf(part, path) : fail("a Blob (declared tp.Numpy)");
    if (type === undefined) {
      if (part === null || part === undefined) return () => null;
      if (part instanceof Blob) return leaf(part, path);
    }
    if (Array.isArray(type) || (type === undefined && Array.isArray(part))) {
      const types = type as readonly Returns[] | undefined;
      if (!Array.isArray(part) || (types !== undefined && part.length !== types.length))
        return fail(`an array of ${types?.length}`);
      const parts = part.map((entry, i) => visit(entry, types?.[i], `${path}[${i}]`));
      return (values) => parts.map((rebuild) => rebuild(values));
    }
    if (typeof part !== "object" || part === null || part instanceof Blob)
      return fail(
        type === undefined
          ? "Blobs, arrays or objects of them, or nothing"
          : `an object with ${Object.keys(type).join(", ")}`,
      );
    const types = type as Readonly<Record<string, Returns>> | undefined;
    const keys = Object.keys(types ?? part);
    if (types !== undefined && Object.keys(part).sort().join() !== [...keys].sort().join())
      return fail(`an object with exactly ${keys.join(", ")}`);
    const parts = keys.map(
      (key) => [key, visit((part as Record<string, unknown>)[key], types?.[key], `${path}.${key}`)] as const,
    );
    return (values) => Object.fromEntries(parts.map(([key, rebuild]) => [key, rebuild(values)]));
  };
  const leaf = (blob: Blob, path: string): Rebuild => {
    if (blob.dtype === "bool")
      throw new FlowError(
        "E_DTYPE",
        `job '${job}': its function returned a bool Blob${path === "" ? "" : ` at ${path}`}; bool lives inside graphs only, flow.cast it to int8`,
      );
    const index = blobs.push(blob) - 1;
    return (values) => values[index];
  };
  return visit(value, returns, "");
}
