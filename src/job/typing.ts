import type { DType } from "../core/dtype.js";
import { FlowError } from "../core/errors.js";
import type { NdArray } from "../core/tensor.js";
import type { Blob } from "../graph/blob.js";
import {
  type Form,
  makePlaceholder,
  type OpenShape,
  type Placeholder,
  type PlaceholderOptions,
} from "./placeholder.js";
import type { JobResult } from "./result.js";

/** Makes placeholders of one form. */
export interface PlaceholderMaker<F extends Form> {
  (shape: OpenShape, options?: PlaceholderOptions<undefined>): Placeholder<"float32", F>;
  <const D extends DType>(shape: OpenShape, options: PlaceholderOptions<D>): Placeholder<D, F>;
}

/** As a return type: the form of one value. `Placeholder` declares an argument of a job. */
export interface FormType<F extends Form = Form> {
  /** Tells it from other return types. */
  readonly kind: F;
  /** Declares an argument: shape, and dtype (default float32). */
  readonly Placeholder: PlaceholderMaker<F>;
}

/** As a return type: the call gives a function that takes a callback for the value. */
export interface CallbackType<R = Returns> {
  /** Tells it from other return types. */
  readonly kind: "Callback";
  /** The form of the value. */
  readonly type: R;
}

/** As a return type: any nesting of arrays and objects of Blobs, each in the form of `type`. */
export interface BundleType<F extends Form = Form> {
  /** Tells it from other return types. */
  readonly kind: "Bundle";
  /** The form of each leaf. */
  readonly type: FormType<F>;
}

/** What stands for the documented return annotation, without `tp.Callback`. */
export type ValueType = FormType | BundleType | null | readonly ValueType[] | { readonly [key: string]: ValueType };

/** What stands for the documented return annotation. */
export type Returns = ValueType | CallbackType<ValueType>;

const form = <F extends Form>(kind: F): FormType<F> => {
  const Placeholder = (shape: readonly (number | null)[], options?: PlaceholderOptions): Placeholder =>
    makePlaceholder(`tp.${kind}.Placeholder`, kind, shape, options);
  return Object.freeze({ kind, Placeholder: Placeholder as unknown as PlaceholderMaker<F> });
};

/** An array: the return type `tp.Numpy`, and `tp.Numpy.Placeholder(shape, { dtype })`.  @flow typing.Numpy @flow typing.Numpy.Placeholder */
export const Numpy = form("Numpy");

/**
 * A list of one array per device, so of one: what mirrored views use. Its placeholder takes arrays of its rank and of
 * at most its number of elements; the job is compiled once for each shape.
 * @flow typing.ListNumpy
 * @example
 * ```ts
 * const job = flow.globalFunction(
 *   { name: "listed", returns: tp.ListNumpy },
 *   [tp.ListNumpy.Placeholder([100, 2])],
 *   (x) => x.add(1),
 * );
 * await job([[[1, 2], [3, 4], [5, 6]]]); // -> [[[2, 3], [4, 5], [6, 7]]]
 * ```
 */
export const ListNumpy = form("ListNumpy");

/** A list per device of lists of arrays; on one device `[[x]]`.  @flow typing.ListListNumpy */
export const ListListNumpy = form("ListListNumpy");

/**
 * The call gives a function; what it is given is called once with the value of type `type`. It returns a promise that
 * ends when the callback has, and carries its error or the job's.
 * @flow typing.Callback
 * @example
 * ```ts
 * const job = flow.globalFunction({ name: "called", returns: tp.Callback(tp.Numpy) }, [tp.Numpy.Placeholder([1])], (x) =>
 *   x.add(1),
 * );
 * await job([1])((value) => console.log(value.item()));
 * ```
 */
export function Callback<const R extends ValueType>(type: R): CallbackType<R> {
  return Object.freeze({ kind: "Callback", type });
}

/**
 * Any nesting of arrays and objects of Blobs; each leaf becomes `type`: tp.Numpy, tp.ListNumpy or tp.ListListNumpy.
 * @flow typing.Bundle
 * @example
 * ```ts
 * const job = flow.globalFunction({ name: "bundled", returns: tp.Bundle(tp.Numpy) }, [tp.Numpy.Placeholder([1])], (x) => ({
 *   x,
 *   more: [x.add(1), x.add(2)],
 * }));
 * await job([1]); // -> { x: [1], more: [[2], [3]] }
 * ```
 */
export function Bundle<F extends Form>(type: FormType<F>): BundleType<F> {
  if (!isForm(type))
    throw new FlowError("E_ARGUMENT", "tp.Bundle: expected tp.Numpy, tp.ListNumpy or tp.ListListNumpy");
  return Object.freeze({ kind: "Bundle", type });
}

/** True for `tp.Numpy` and its like. */
export function isForm(type: unknown): type is FormType {
  return type === Numpy || type === ListNumpy || type === ListListNumpy;
}

/** An array or the lists of one that a form makes of it. */
export type InForm<F extends Form> = {
  Numpy: NdArray;
  ListNumpy: readonly [NdArray];
  ListListNumpy: readonly [readonly [NdArray]];
}[F];

/** Blobs in arrays and objects, nested. */
export type BlobTree = Blob | readonly BlobTree[] | { readonly [key: string]: BlobTree };

/** Nothing: what a function without a return statement has is void. */
// biome-ignore lint/suspicious/noConfusingVoidType: see above
type Nothing = null | undefined | void;

/** What a job function must return for a declared type. */
export type BlobsOf<R> = R extends undefined
  ? unknown
  : R extends FormType
    ? Blob
    : R extends CallbackType<infer T>
      ? BlobsOf<T>
      : R extends BundleType
        ? BlobTree
        : R extends null
          ? Nothing
          : R extends readonly unknown[]
            ? { readonly [K in keyof R]: BlobsOf<R[K]> }
            : R extends object
              ? { readonly [K in keyof R]: BlobsOf<R[K]> }
              : never;

/** What a job gives for a declared type, where its function returned V. */
export type ResultOf<R, V = unknown> =
  R extends FormType<infer F>
    ? InForm<F>
    : R extends BundleType<infer F>
      ? LeavesOf<V, F>
      : R extends null
        ? null
        : R extends readonly unknown[]
          ? { readonly [K in keyof R]: ResultOf<R[K], K extends keyof V ? V[K] : unknown> }
          : R extends object
            ? { readonly [K in keyof R]: ResultOf<R[K], K extends keyof V ? V[K] : unknown> }
            : never;

/** V with each Blob replaced by its value in form F. */
export type LeavesOf<V, F extends Form> = V extends Blob
  ? InForm<F>
  : V extends readonly unknown[]
    ? { readonly [K in keyof V]: LeavesOf<V[K], F> }
    : V extends object
      ? { readonly [K in keyof V]: LeavesOf<V[K], F> }
      : never;

/** What a call of a job gives: with declared returns (R), or without (R is undefined). unknown where R is known only when the program runs. */
export type CallOf<R, V> = [Returns] extends [R]
  ? unknown
  : R extends undefined
    ? JobResult<ValueOf<V>>
    : R extends CallbackType<infer T>
      ? (callback: (value: ResultOf<T, V>) => unknown) => Promise<void>
      : Promise<ResultOf<R, V>>;

/** What calls of a job without declared returns resolve to: every Blob its function returned becomes an NdArray. */
export type ValueOf<T> = T extends Blob
  ? NdArray
  : T extends Nothing
    ? null
    : T extends readonly unknown[]
      ? { readonly [K in keyof T]: ValueOf<T[K]> }
      : T extends object
        ? { readonly [K in keyof T]: ValueOf<T[K]> }
        : never;

/** A type that no value has; the name of its one property says what is wrong. */
type Wrong<Message extends string> = { readonly [K in Message]: never };

/** unknown where `returns` is made of tp's types, or not known before the program runs, else a type that says why not. */
export type AllowedReturns<R> = [Returns] extends [R]
  ? unknown
  : [R] extends [CallbackType<infer T>]
    ? { readonly type: AllowedValue<T> }
    : AllowedValue<R>;

// In tuples, so that a union is refused where one of its members is.
type AllowedValue<R> = [R] extends [undefined | null | FormType | BundleType]
  ? unknown
  : [R] extends [CallbackType<infer _>]
    ? Wrong<"tp.Callback can only be the whole return type">
    : [R] extends [(...args: never) => unknown]
      ? Wrong<"tp.Bundle and tp.Callback take the type of the value, as in tp.Bundle(tp.Numpy)">
      : [R] extends [object]
        ? { readonly [K in keyof R]: AllowedValue<R[K]> }
        : Wrong<"returns must be tp.Numpy, tp.ListNumpy, a tuple or object of such types, or null">;

/** T where the function of a job may return it, else a type that says what it must return. */
export type AllowedResult<R, T> = [Returns] extends [R]
  ? T
  : [T] extends [BlobsOf<R>]
    ? T & (R extends undefined ? AllowedTree<T> : unknown)
    : NotAsync<R, T>;

type NotAsync<R, T> =
  T extends PromiseLike<unknown>
    ? Wrong<"a job function must not be async: it runs once, while the job is traced">
    : BlobsOf<R>;

type AllowedTree<T> = [T] extends [Blob | Nothing]
  ? unknown
  : T extends PromiseLike<unknown>
    ? Wrong<"a job function must not be async: it runs once, while the job is traced">
    : [T] extends [object | Nothing]
      ? { readonly [K in keyof T]: AllowedTree<T[K]> }
      : Wrong<"a job function must return Blobs, arrays or objects of Blobs, or nothing">;
