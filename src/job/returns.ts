import { allocate } from "../core/dtype.js";
import { FlowError, textOfValue } from "../core/errors.js";
import { sizeOf } from "../core/shape.js";
import { NdArray } from "../core/tensor.js";
import { Blob } from "../graph/blob.js";
import { extentOf } from "../graph/extent.js";
import type { Form } from "./placeholder.js";
import { type BundleType, type CallbackType, isForm, type Returns, type ValueType } from "./typing.js";

/** How a job's values go back into the form it returned. */
export type Rebuild = (values: readonly NdArray[]) => unknown;

/** Throws E_RETURNS unless `returns` is made of tp's types. */
export function checkReturns(job: string, returns: unknown): void {
  const wrong = (path: string, why: string): never => {
    throw new FlowError("E_RETURNS", `globalFunction: returns of job '${job}'${path} ${why}`);
  };
  const visit = (type: unknown, path: string): void => {
    if (type === null || isForm(type)) return;
    if (type === undefined) wrong(path, "is undefined, expected tp.Numpy or another type; null stands for nothing");
    if (typeof type !== "object")
      wrong(
        path,
        typeof type === "function"
          ? "is a function; tp.Callback and tp.Bundle take the type of the value, as tp.Bundle(tp.Numpy)"
          : `is ${textOfValue(type)}, expected tp.Numpy or another type`,
      );
    const { kind } = type as { kind?: unknown };
    if (kind === "Bundle") return;
    if (kind === "Callback") {
      if (path !== "") wrong(path, "is a tp.Callback; it can only be the whole return type");
      visit((type as CallbackType).type, " in tp.Callback");
    } else for (const [key, part] of Object.entries(type as object)) visit(part, `${path}.${key}`);
  };
  visit(returns, "");
}

/**
 * Collects the blobs a job returned, checked against `returns` where declared, and how to rebuild that form from arrays.
 */
export function flattenReturns(job: string, value: unknown, returns: Returns | undefined, blobs: Blob[]): Rebuild {
  const leaf = (blob: Blob, path: string, form: Form): Rebuild => {
    if (blob.dtype === "bool")
      throw new FlowError(
        "E_DTYPE",
        `job '${job}': its function returned a bool Blob${path === "" ? "" : ` at ${path}`}; bool lives inside graphs only, flow.cast it to int8`,
      );
    const take = leaving(blob, blobs);
    if (form === "ListNumpy") return (values) => [take(values)];
    if (form === "ListListNumpy") return (values) => [[take(values)]];
    return take;
  };
  /** Any nesting: of a bundle (`nothing` is false), or of a job without declared returns. */
  const free = (part: unknown, path: string, form: Form, nothing: boolean): Rebuild => {
    if (part instanceof Blob) return leaf(part, path, form);
    if (nothing && (part === null || part === undefined)) return () => null;
    if (typeof part !== "object" || part === null)
      throw mismatch(job, part, path, `Blobs, arrays or objects of them${nothing ? ", or nothing" : ""}`);
    if (Array.isArray(part)) {
      const parts = part.map((entry, i) => free(entry, `${path}[${i}]`, form, nothing));
      return (values) => parts.map((rebuild) => rebuild(values));
    }
    const parts = Object.entries(part).map(
      ([key, entry]) => [key, free(entry, `${path}.${key}`, form, nothing)] as const,
    );
    return (values) => Object.fromEntries(parts.map(([key, rebuild]) => [key, rebuild(values)]));
  };
  const declared = (part: unknown, type: ValueType, path: string): Rebuild => {
    if (type === null) {
      if (part !== null && part !== undefined) throw mismatch(job, part, path, "nothing (declared null)");
      return () => null;
    }
    if (isForm(type)) {
      if (!(part instanceof Blob)) throw mismatch(job, part, path, `a Blob (declared tp.${type.kind})`);
      return leaf(part, path, type.kind);
    }
    if (isBundle(type)) return free(part, path, type.type.kind, false);
    if (Array.isArray(type)) {
      const types = type as readonly ValueType[];
      if (!Array.isArray(part) || part.length !== types.length)
        throw mismatch(job, part, path, `an array of ${types.length}`);
      const parts = part.map((entry, i) => declared(entry, types[i]!, `${path}[${i}]`));
      return (values) => parts.map((rebuild) => rebuild(values));
    }
    const types = type as Readonly<Record<string, ValueType>>;
    const keys = Object.keys(types);
    if (typeof part !== "object" || part === null || part instanceof Blob || Array.isArray(part))
      throw mismatch(job, part, path, `an object with ${keys.join(", ")}`);
    if (Object.keys(part).sort().join() !== [...keys].sort().join())
      throw mismatch(job, part, path, `an object with exactly ${keys.join(", ")}`);
    const parts = keys.map(
      (key) => [key, declared((part as Record<string, unknown>)[key], types[key]!, `${path}.${key}`)] as const,
    );
    return (values) => Object.fromEntries(parts.map(([key, rebuild]) => [key, rebuild(values)]));
  };
  if (returns === undefined) return free(value, "", "Numpy", true);
  return declared(value, isCallback(returns) ? returns.type : returns, "");
}

/**
 * Lets a blob leave the job among `outputs`, with the count of what counts of it where that depends on values; the result takes it out of
 * the outputs' values, cut to that count.
 */
export function leaving(blob: Blob, outputs: Blob[]): (values: readonly NdArray[]) => NdArray {
  const index = outputs.push(blob) - 1;
  const cut = cutting(blob, outputs);
  return (values) => cut(values[index]!, values);
}

/** Cuts a blob's value to what counts of it, by a count that is put among `outputs`; leaves the value as it is where all counts. */
export function cutting(blob: Blob, outputs: Blob[]): (value: NdArray, values: readonly NdArray[]) => NdArray {
  const extent = extentOf(blob);
  if (extent === undefined) return (value) => value;
  const index = outputs.push(extent.count) - 1;
  return (value, values) => firstAlong(value, extent.axis, values[index]!.item());
}

/** A copy of the first `count` entries along an axis. */
function firstAlong({ data, shape, dtype }: NdArray, axis: number, count: number): NdArray {
  const inner = sizeOf(shape.slice(axis + 1));
  const [from, to] = [shape[axis]! * inner, count * inner];
  const outer = sizeOf(shape.slice(0, axis));
  const result = allocate(dtype, outer * to);
  for (let o = 0; o < outer; o++) result.set(data.subarray(o * from, o * from + to) as never, o * to);
  return new NdArray(result, shape.with(axis, count), dtype);
}

function isBundle(type: ValueType): type is BundleType {
  return (type as { kind?: unknown }).kind === "Bundle";
}

/** True where a call of the job gives a function that takes a callback. */
export function isCallback(returns: Returns | undefined): returns is CallbackType<ValueType> {
  return returns !== null && returns !== undefined && (returns as { kind?: unknown }).kind === "Callback";
}

function mismatch(job: string, part: unknown, path: string, expected: string): FlowError {
  const got =
    part instanceof Blob
      ? "a Blob"
      : part === null
        ? "null"
        : Array.isArray(part)
          ? `an array of ${part.length}`
          : part === undefined
            ? "nothing"
            : typeof part === "object"
              ? `an object with ${Object.keys(part).join(", ") || "no key"}`
              : typeof part;
  return new FlowError(
    "E_RETURNS",
    `job '${job}': its function returned ${got}${path === "" ? "" : ` at ${path}`}, expected ${expected}`,
  );
}
