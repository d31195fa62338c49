import { callSite, checkOptions, FlowError, plainText, textOfValue } from "../core/errors.js";
import { activeBuilder } from "../graph/trace.js";
import { trainStepName } from "../optim/apply.js";
import { atCallSite, callSiteAbove, fromCallSite } from "./call-site.js";
import { type FunctionConfig, settingsOf } from "./function-config.js";
import { learningRateAt } from "./learning-rate.js";
import { type Argument, type BlobsIn, copyFeeds, type FeedOf, placeholdersOf } from "./placeholder.js";
import type { QuickCall } from "./ready-job.js";
import { JobResult } from "./result.js";
import { checkReturns, isCallback } from "./returns.js";
import { defaultSession, type Session } from "./session.js";
import type { Declaration } from "./trace-job.js";
import type { AllowedResult, AllowedReturns, CallOf, Returns } from "./typing.js";

/** Options of `globalFunction`. */
export interface JobOptions {
  /** "train" needs an optimizer in the function; default "predict", as documented. */
  readonly type?: "train" | "predict";
  /** Name of the job; it decides `System-Train-TrainStep-<name>`. Default the function's own name, which minifiers change. */
  readonly name?: string;
  /** Default types, view and placement of the job; what it says when the job is declared counts. */
  readonly functionConfig?: FunctionConfig;
}

/** Options of one call. */
export interface CallOptions {
  /** Takes the call out of the queue while it waits; the call then rejects with the signal's reason. A step that runs is finished. */
  readonly signal?: AbortSignal;
}

/** A job: call it with one feed per argument. */
export interface Job<F extends readonly unknown[], T> {
  (...feeds: F): T;
  /** The name that was given, or that of the function. */
  readonly jobName: string;
  /** Updates made so far (train jobs): what `System-Train-TrainStep-<name>` holds after the calls made before. */
  step(): Promise<number>;
  /** The learning rate of the next update, or of update `step` (from 0). */
  learningRate(step?: number): Promise<number>;
  /** The same job, whose calls take these options. */
  with(options: CallOptions): Job<F, T>;
}

/** Blobs for the arguments of a job. */
export type BlobArguments<A extends readonly Argument[]> = { readonly [K in keyof A]: BlobsIn<A[K]> };
/** What a call feeds for them. */
export type Feeds<A extends readonly Argument[]> = { [K in keyof A]: FeedOf<A[K]> };

/**
 * Makes a job of a function that builds a model. The function runs once, at the first job or CheckPoint call (once for each
 * fed shape where a placeholder leaves its shape open); each call of the job then is one native step on copies of its feeds.
 * With `returns` a call gives a promise of that form, without it a JobResult of what the function returned. Calls run in the
 * order they are made. A job declared after the first call joins, and shares the variables with their values (v0.2 refuses).
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
export function globalFunction<const A extends readonly Argument[], const T, const R = undefined>(
  options: JobOptions & { readonly returns?: R & AllowedReturns<R> },
  placeholders: A,
  fn: (...blobs: BlobArguments<A>) => AllowedResult<R, T>,
): Job<Feeds<A>, CallOf<R, T>>;
export function globalFunction<const T, const R = undefined>(
  options: JobOptions & { readonly returns?: R & AllowedReturns<R> },
  fn: () => AllowedResult<R, T>,
): Job<[], CallOf<R, T>>;
export function globalFunction(
  options: JobOptions & { readonly returns?: Returns },
  second: readonly Argument[] | (() => unknown),
  third?: (...blobs: never) => unknown,
): unknown {
  checkOptions("globalFunction", options, ["type", "name", "returns", "functionConfig"]);
  if (activeBuilder() !== undefined)
    throw new FlowError("E_ARGUMENT", "globalFunction: called inside a job function; declare jobs outside");
  const [args, fn]: [readonly Argument[], ((...blobs: never) => unknown) | undefined] =
    typeof second === "function" ? [[], second] : [second, third];
  const { type = "predict", returns, name = fn?.name } = options;
  if (typeof fn !== "function" || !Array.isArray(args))
    throw new FlowError(
      "E_ARGUMENT",
      "globalFunction: expected (options, placeholders, function) or (options, function)",
    );
  if (type !== "train" && type !== "predict")
    throw new FlowError("E_ARGUMENT", `globalFunction: type is ${plainText(type)}, expected "train" or "predict"`);
  if (name === undefined || name === "")
    throw new FlowError("E_NAME", 'globalFunction: the job has no name; pass { name: "train_job" }');
  if (!/^[A-Za-z0-9_.+-]{1,170}$/.test(name))
    throw new FlowError(
      "E_NAME",
      `globalFunction: job name ${plainText(name)} may hold letters, digits and _ . + - only, at most 170 (it names a directory of checkpoints)`,
    );
  if ("returns" in options) checkReturns(name, returns);
  const session = defaultSession();
  const declaration: Declaration = {
    name,
    type,
    returns,
    args,
    placeholders: placeholdersOf(name, args),
    settings: settingsOf(`globalFunction: job '${name}'`, options.functionConfig),
    fn: fn as (...blobs: unknown[]) => unknown,
    site: callSite(),
  };
  if (returns === undefined && session.settings.typed === true)
    throw new FlowError(
      "E_RETURNS",
      `globalFunction: job '${name}' declares no returns, which experimental.enableTypingCheck(true) asks for; pass { returns: tp.Numpy } or what it gives`,
    );
  session.declare(declaration);
  return makeJob(session, declaration, {});
}

const declarations = new WeakMap<object, { readonly session: Session; readonly declaration: Declaration }>();

/** The session and declaration behind a job; E_ARGUMENT for anything else. */
export function declarationOf(
  where: string,
  job: unknown,
): { readonly session: Session; readonly declaration: Declaration } {
  const known = typeof job === "function" ? declarations.get(job) : undefined;
  if (known === undefined)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: got ${textOfValue(job)}, expected a job as flow.globalFunction gives it`,
    );
  return known;
}

function makeJob(session: Session, declaration: Declaration, options: CallOptions): Job<unknown[], unknown> {
  const { name } = declaration;
  const job = (...feeds: unknown[]): unknown => call(session, declaration, feeds, options, job);
  const readStep = (where: string, from: (...args: never) => unknown, at?: number): Promise<number> => {
    if (declaration.type !== "train")
      return Promise.reject(
        new FlowError("E_ARGUMENT", `${where}: job '${name}' is a predict job, which makes no updates`),
      );
    return fromCallSite(from, () =>
      session.enqueue(where, async () => {
        if (at !== undefined) return at;
        const given = session.job(name).latest.traced.objective?.optimizer.trainStepLbn;
        if (given !== undefined)
          throw new FlowError(
            "E_ARGUMENT",
            `${where}: the step of job '${name}' is its blob '${given}' (trainStepLbn), known only while it runs; return or watch that blob`,
          );
        const variable = trainStepName(name);
        return session.isInitialized(variable) ? Number((await session.read(variable)).data[0]) : 0;
      }),
    );
  };
  const step = (): Promise<number> => readStep(`job '${name}'.step`, step);
  const learningRate = async (at?: number): Promise<number> => {
    const where = `job '${name}'.learningRate`;
    if (at !== undefined && !(Number.isSafeInteger(at) && at >= 0))
      throw new FlowError("E_ARGUMENT", `${where}: step is ${plainText(at)}, expected an integer of at least 0`);
    const next = await readStep(where, learningRate, at);
    const { objective } = session.job(name).latest.traced;
    return await learningRateAt(objective!.optimizer.schedule, next);
  };
  declarations.set(job, { session, declaration });
  return Object.assign(job, {
    jobName: name,
    step,
    learningRate,
    with: (more: CallOptions): unknown => {
      checkOptions(`job '${name}'.with`, more, ["signal"]);
      if (more.signal !== undefined && !(more.signal instanceof AbortSignal))
        throw new FlowError(
          "E_ARGUMENT",
          `job '${name}'.with: signal is ${textOfValue(more.signal)}, expected an AbortSignal`,
        );
      return makeJob(session, declaration, { ...options, ...more });
    },
  }) as Job<unknown[], unknown>;
}

function call(
  session: Session,
  declaration: Declaration,
  feeds: readonly unknown[],
  options: CallOptions,
  from: (...args: unknown[]) => unknown,
): unknown {
  const { name, returns } = declaration;
  const Result = returns === undefined ? JobResult : Promise;
  const quick = activeBuilder() === undefined && options.signal === undefined ? session.quick(name) : undefined;
  const result =
    quick === undefined
      ? callInTurn(Result, session, declaration, feeds, options, from)
      : callAtOnce(Result, declaration, feeds, quick, from);
  if (!isCallback(returns)) return result;
  return (callback: (value: unknown) => unknown): Promise<void> => {
    if (typeof callback !== "function")
      return Promise.reject(
        new FlowError(
          "E_ARGUMENT",
          `job '${name}': its returns are tp.Callback, so a call is job(...)(callback); got ${textOfValue(callback)}`,
        ),
      );
    return result.then(async (value) => {
      await callback(value);
    });
  };
}

/** A call that has ended when it returns its promise. */
function callAtOnce(
  Result: typeof Promise<unknown>,
  { name, args }: Declaration,
  feeds: readonly unknown[],
  quick: QuickCall,
  from: (...args: unknown[]) => unknown,
): Promise<unknown> {
  try {
    copyFeeds(name, args, feeds, quick.feeds);
    return Result.resolve(quick.run());
  } catch (error) {
    return Result.reject(atCallSite(error, callSiteAbove(from)));
  }
}

/** A call that waits for its turn in the session's queue, with copies of its feeds. */
function callInTurn(
  Result: typeof Promise<unknown>,
  session: Session,
  { name, args }: Declaration,
  feeds: readonly unknown[],
  options: CallOptions,
  from: (...args: unknown[]) => unknown,
): Promise<unknown> {
  const site = callSiteAbove(from);
  const run = async (): Promise<unknown> => {
    if (activeBuilder() !== undefined)
      throw new FlowError("E_ARGUMENT", `job '${name}': called inside a job function; use its model function instead`);
    const copies = copyFeeds(name, args, feeds);
    const outcome = await session.enqueue(`job '${name}'`, () => session.run(name, copies), options);
    if (outcome.handled.length === 0) return outcome.result;
    // Outside the queue: a handler may itself await a job.
    const failed = (await Promise.allSettled(outcome.handled)).filter(({ status }) => status === "rejected");
    const reasons = failed.map((failure) => (failure as PromiseRejectedResult).reason as unknown);
    if (reasons.length > 1) throw new AggregateError(reasons, `job '${name}': ${reasons.length} watch handlers failed`);
    if (reasons.length === 1) throw reasons[0];
    return outcome.result;
  };
  return new Result((resolve, reject) => {
    run().then(resolve, (error: unknown) => reject(atCallSite(error, site)));
  });
}
