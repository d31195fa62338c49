import { callSite, checkOptions, FlowError } from "../core/errors.js";
import { copyInto, type Tensor, zeros } from "../core/tensor.js";
import type { Blob } from "../graph/blob.js";
import { activeBuilder } from "../graph/trace.js";
import { JobResult } from "./result.js";
import { defaultSession, type Session } from "./session.js";
import type { Declaration } from "./trace-job.js";
import type { BlobArguments, BlobsOf, Feeds, Placeholder, ResultOf, Returns, ValueOf } from "./typing.js";

/** Options of `globalFunction`. */
export interface JobOptions {
  /** "train" needs an optimizer in the function; default "predict", as documented. */
  readonly type?: "train" | "predict";
  /** Name of the job; it decides `System-Train-TrainStep-<name>`. Default the function's own name, which minifiers change. */
  readonly name?: string;
}

/** A job: call it with one feed per placeholder. `jobName` is its name. */
export type Job<F extends readonly unknown[], T> = ((...feeds: F) => T) & {
  /** The name that was given, or that of the function. */
  readonly jobName: string;
};

/**
 * Makes a job of a function that builds a model. The function runs once, at the first job or CheckPoint call; each call
 * of the job then is one native step on copies of its feeds. With `returns` a call gives a promise of that form,
 * without it a JobResult of what the function returned. Calls run in the order they are made.
 * @flow global_function
 * @example
 * ```ts
 * const double = flow.globalFunction(
 *   { name: "double", returns: tp.Numpy },
 *   [tp.Numpy.Placeholder([2])],
 *   (x) => x.mul(2),
 * );
 * const y = await double([1, 2]); // -> [2, 4]
 * y.mean(); // -> 3
 * ```
 */
export function globalFunction<const P extends readonly Placeholder[], const R, const T extends BlobsOf<R>>(
  options: JobOptions & { readonly returns: R },
  placeholders: P,
  fn: (...blobs: BlobArguments<P>) => T,
): Job<Feeds<P>, Promise<ResultOf<R>>>;
export function globalFunction<const R, const T extends BlobsOf<R>>(
  options: JobOptions & { readonly returns: R },
  fn: () => T,
): Job<[], Promise<ResultOf<R>>>;
export function globalFunction<const P extends readonly Placeholder[], const T>(
  options: JobOptions,
  placeholders: P,
  fn: (...blobs: BlobArguments<P>) => T,
): Job<Feeds<P>, JobResult<ValueOf<T>>>;
export function globalFunction<const T>(options: JobOptions, fn: () => T): Job<[], JobResult<ValueOf<T>>>;
export function globalFunction(
  options: JobOptions & { readonly returns?: Returns },
  second: readonly Placeholder[] | (() => unknown),
  third?: (...blobs: never) => unknown,
): unknown {
  checkOptions("globalFunction", options, ["type", "name", "returns"]);
  if (activeBuilder() !== undefined)
    throw new FlowError("E_ARGUMENT", "globalFunction: called inside a job function; declare jobs outside");
  const [placeholders, fn]: [readonly Placeholder[], ((...blobs: never) => unknown) | undefined] =
    typeof second === "function" ? [[], second] : [second, third];
  const { type = "predict", returns, name = fn?.name } = options;
  if (typeof fn !== "function" || !Array.isArray(placeholders))
    throw new FlowError(
      "E_ARGUMENT",
      "globalFunction: expected (options, placeholders, function) or (options, function)",
    );
  if (type !== "train" && type !== "predict")
    throw new FlowError("E_ARGUMENT", `globalFunction: type is '${String(type)}', expected "train" or "predict"`);
  if (name === undefined || name === "")
    throw new FlowError("E_NAME", 'globalFunction: the job has no name; pass { name: "train_job" }');
  if (!/^[A-Za-z0-9_.+-]{1,170}$/.test(name))
    throw new FlowError(
      "E_NAME",
      `globalFunction: job name '${name}' may hold letters, digits and _ . + - only, at most 170 (it names a directory of checkpoints)`,
    );
  for (const [i, p] of placeholders.entries()) {
    if (p === null || typeof p !== "object" || !Array.isArray((p as Placeholder).shape))
      throw new FlowError(
        "E_ARGUMENT",
        `globalFunction: placeholder ${i} of job '${name}' is ${typeof p}, expected tp.Numpy.Placeholder(shape, { dtype })`,
      );
  }
  const declaration: Declaration = {
    name,
    type,
    returns,
    placeholders,
    fn: fn as (...blobs: Blob[]) => unknown,
    site: callSite(),
  };
  const session = defaultSession();
  session.declare(declaration);
  const job = (...args: unknown[]): Promise<unknown> => call(session, declaration, args, job);
  return Object.assign(job, { jobName: name });
}

function call(
  session: Session,
  { name, placeholders, returns }: Declaration,
  args: readonly unknown[],
  from: (...args: unknown[]) => unknown,
): Promise<unknown> {
  // The user's frames are gone when an awaited step fails; they are taken now and added to what it throws.
  const site: { stack?: string } = {};
  Error.captureStackTrace(site, from);
  const Result = returns === undefined ? JobResult : Promise;
  return new Result<unknown>((resolve, reject) => {
    const fail = (error: unknown): void => {
      if (error instanceof FlowError)
        error.stack = `${error.stack?.split("\n    at ")[0]}${(site.stack ?? "").slice((site.stack ?? "").indexOf("\n"))}`;
      reject(error);
    };
    try {
      const feeds = copyArguments(name, placeholders, args);
      session.enqueue(`job '${name}'`, () => session.run(name, feeds)).then(resolve, fail);
    } catch (error) {
      fail(error);
    }
  });
}

function copyArguments(name: string, placeholders: readonly Placeholder[], args: readonly unknown[]): Tensor[] {
  if (activeBuilder() !== undefined)
    throw new FlowError("E_ARGUMENT", `job '${name}': called inside a job function; use its model function instead`);
  if (args.length !== placeholders.length)
    throw new FlowError("E_ARGUMENT", `job '${name}': got ${args.length} arguments, expected ${placeholders.length}`);
  return placeholders.map(({ dtype, shape }, i) => {
    const tensor = zeros(dtype, shape);
    copyInto(`job '${name}', argument ${i}`, args[i], tensor);
    return tensor;
  });
}
