import { randomInt } from "node:crypto";
import { FlowError, nearest } from "../core/errors.js";
import { streamOf } from "../core/rng.js";
import type { Tensor } from "../core/tensor.js";
import type { EngineSession, Staging } from "../engines/engine.js";
import { sample } from "../initializers/initializer.js";
import { VariableRegistry, type VariableSpec } from "../variables/registry.js";
import { engineFor, type Settings } from "./config.js";
import { debugLevel, writeModel } from "./debug.js";
import { Queue, type QueueOptions } from "./queue.js";
import { type CallOutcome, type JobHost, type QuickCall, ReadyJob } from "./ready-job.js";
import { warnOfNoGpu } from "./scope.js";
import { StatefulSet } from "./stateful.js";
import type { Declaration } from "./trace-job.js";

/** Jobs, their variables, and the engine that holds the values. One queue orders everything that touches them. */
export class Session {
  readonly settings: Settings = {};
  readonly registry = new VariableRegistry();
  /** What checkpoints hold beside variables: positions of data sources. */
  readonly stateful = new StatefulSet();
  readonly #queue = new Queue();
  readonly #declared = new Map<string, Declaration>();
  readonly #ready = new Map<string, ReadyJob>();
  readonly #initialized = new Set<string>();
  readonly #calls = new Map<string, number>();
  #engine: Promise<EngineSession> | undefined;
  #opened: EngineSession | undefined;
  /** Whether there may be declarations that have not been traced. */
  #stale = true;
  #seed: number | undefined;
  #closed = false;

  constructor() {
    this.#queue.limit = defaultQueueLimit;
  }

  /** True once the first job or CheckPoint call was made. */
  get running(): boolean {
    return this.#engine !== undefined;
  }

  /** True where jobs have been declared. */
  get hasJobs(): boolean {
    return this.#declared.size > 0;
  }

  /** The seed of all randomness: the user's, a loaded checkpoint's, or one drawn now. */
  get seed(): number {
    if (this.#seed === undefined) {
      this.#seed = this.settings.seed ?? randomInt(2 ** 32);
      if (debugLevel() >= 1) process.stderr.write(`--- seed ${this.#seed}\n`);
    }
    return this.#seed;
  }

  /** True once the seed is drawn, loaded or read. */
  get seeded(): boolean {
    return this.#seed !== undefined;
  }

  /** Calls each job has made; they choose the random streams of the next. */
  get calls(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#calls].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** How many calls may wait for their turn. */
  set queueLimit(limit: number) {
    this.#queue.limit = limit;
  }

  /** Calls that wait for their turn. */
  get waiting(): number {
    return this.#queue.waiting;
  }

  /**
   * Adds a job. A name declared before is replaced before it has been traced, and an error after; in eager mode it is
   * traced again, and keeps its native graph where that is the same.
   */
  declare(declaration: Declaration): void {
    this.#assertOpen(`job '${declaration.name}'`);
    if (this.#ready.has(declaration.name) && this.settings.eager !== true) {
      throw new FlowError(
        "E_DUPLICATE",
        `globalFunction: job '${declaration.name}' is in use since ${this.#declared.get(declaration.name)!.site}; use another name, or call clearDefaultSession first`,
      );
    }
    this.#declared.set(declaration.name, declaration);
    this.#stale = true;
  }

  /** Continues the random sequence of a saved run. A seed that the user set stays. */
  resume(seed: number, calls: Readonly<Record<string, number>>): void {
    this.#seed = this.settings.seed ?? seed;
    for (const [job, count] of Object.entries(calls)) this.#calls.set(job, count);
  }

  /** Runs `task` after everything asked for before, with all declared jobs traced and compiled. */
  enqueue<T>(what: string, task: () => Promise<T>, options: QueueOptions = {}): Promise<T> {
    return this.#queue.push(
      what,
      async () => {
        this.#assertOpen(what);
        await this.#start(what);
        return await task();
      },
      options,
    );
  }

  /** Runs a job on feeds that are the session's own; resolves to its outputs. */
  async run(name: string, feeds: readonly Tensor[]): Promise<CallOutcome> {
    const job = this.job(name);
    if (this.settings.eager === true) await this.#initialize(job.reads());
    const call = this.#calls.get(name) ?? 0;
    const outcome = await job.run(feeds, call);
    this.#calls.set(name, call + 1);
    return outcome;
  }

  /**
   * A call of a job that may be made at once, as nothing is before it and it is known to be quick: neither a place in the queue nor
   * a copy of its feeds for the time there. To be asked before each call, and not to be kept.
   */
  quick(name: string): QuickCall | undefined {
    if (this.#stale || this.#closed || this.settings.eager === true || !this.#queue.free) return undefined;
    const call = this.#opened && this.#ready.get(name)!.quick(this.#opened);
    if (call === undefined) return undefined;
    const run = (): unknown => {
      const result = call.run();
      this.#calls.set(name, (this.#calls.get(name) ?? 0) + 1);
      return result;
    };
    return { feeds: call.feeds, run };
  }

  /** A job that has been traced. */
  job(name: string): ReadyJob {
    return this.#ready.get(name)!;
  }

  /** A variable by name; E_VARIABLE with the nearest name where there is none. */
  variable(where: string, name: string): VariableSpec {
    const spec = this.registry.get(name);
    if (spec !== undefined) return spec;
    const names = this.registry.all().map((variable) => variable.name);
    const near = nearest(name, names);
    throw new FlowError(
      "E_VARIABLE",
      `${where}: no job has a variable '${name}'; ${near === undefined ? `there are ${names.join(", ") || "none"}` : `did you mean '${near}'?`}`,
    );
  }

  /** The first value of a variable, in `tensor` where it is given: by its randomSeed, else by the session's seed and its name. */
  initialValue({ name, initializer, shape, dtype, randomSeed }: VariableSpec, tensor?: Tensor): Promise<Tensor> {
    const stream = randomSeed === undefined ? streamOf(this.seed, "init", name) : streamOf(randomSeed, "init");
    return sample(initializer, stream, shape, dtype, tensor);
  }

  isInitialized(variable: string): boolean {
    return this.#initialized.has(variable);
  }

  async read(variable: string): Promise<Tensor> {
    return await (await this.#engine!).read(variable);
  }

  /** The value of a variable without a copy, good within the caller's turn in the queue. */
  async view(variable: string): Promise<Tensor> {
    return await (await this.#engine!).view(variable);
  }

  /** Next values for variables, to be filled and given to `commit`, or discarded, within the caller's turn in the queue. */
  async stage(): Promise<Staging & { readonly names: ReadonlySet<string> }> {
    const names = new Set<string>();
    const { tensor, commit, discard } = (await this.#engine!).stage();
    const named = (name: string): Tensor => {
      names.add(name);
      return tensor(name);
    };
    return { names, tensor: named, commit, discard };
  }

  /** Makes the staged tensors the values of their variables. */
  async commit(staging: Staging & { readonly names: ReadonlySet<string> }): Promise<void> {
    await staging.commit();
    for (const name of staging.names) this.#initialized.add(name);
  }

  async write(variable: string, value: Tensor): Promise<void> {
    await (await this.#engine!).write(variable, value);
    this.#initialized.add(variable);
  }

  /** Resolves when everything asked for so far has ended. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  /** Refuses new calls, finishes those under way, frees the engine. */
  close(): Promise<void> {
    this.#queue.limit = Infinity;
    return this.#queue.push("clearDefaultSession", async () => {
      this.#closed = true;
      for (const job of this.#ready.values()) await job.close();
      await (await this.#engine?.catch(() => undefined))?.close();
    });
  }

  #assertOpen(what: string): void {
    if (this.#closed)
      throw new FlowError("E_CLOSED", `${what}: its session was closed by clearDefaultSession; declare the job again`);
  }

  async #initialize(variables: readonly string[]): Promise<void> {
    for (const name of variables)
      if (!this.#initialized.has(name)) await this.write(name, await this.initialValue(this.registry.get(name)!));
  }

  /** Traces and compiles the jobs declared since the last time. A failure leaves no trace of them. */
  async #start(what: string): Promise<void> {
    if (!this.#stale) return;
    const fresh = [...this.#declared.values()].filter(
      (declaration) => this.#ready.get(declaration.name)?.declaration !== declaration,
    );
    if (fresh.length === 0) {
      if (this.#declared.size === 0)
        throw new FlowError(
          "E_ARGUMENT",
          `${what}: the session has no job; declare one with flow.globalFunction first`,
        );
      this.#stale = false;
      return;
    }
    const host = await this.#host();
    const registry = this.registry.copy();
    const ready = new Map<string, ReadyJob>();
    const replaced: string[] = [];
    for (const declaration of fresh) {
      const job = ReadyJob.prepare(declaration, host, registry);
      const earlier = this.#ready.get(declaration.name);
      if (earlier?.computesAs(job)) job.adopt(earlier);
      if (earlier !== undefined) replaced.push(...earlier.natives);
      ready.set(declaration.name, job);
    }
    const opened = await host.open();
    this.#opened = opened;
    if (!opened.gpu && [...ready.values()].some((job) => job.wantsGpu)) warnOfNoGpu();
    await opened.extend({
      jobs: [...ready.values()].flatMap((job) => job.pending()),
      variables: new Map(registry.all().map((spec) => [spec.name, spec])),
    });
    for (const job of ready.values()) job.loaded();
    const inUse = new Set([...ready.values()].flatMap((job) => job.natives));
    for (const name of replaced) if (!inUse.has(name)) await opened.drop(name);
    this.registry.commit(registry.all());
    for (const [name, job] of ready) this.#ready.set(name, job);
  }

  async #host(): Promise<JobHost> {
    const engine = await engineFor(this.settings);
    const session = this;
    return {
      engine,
      checkNumerics: this.settings.checkNumerics ?? false,
      recompute: this.settings.recompute ?? false,
      registry: this.registry,
      get seed() {
        return session.seed;
      },
      isInitialized: (variable) => this.isInitialized(variable),
      open: () => {
        this.#engine ??= engine.open({
          threads: this.settings.threads,
          inPlaceFrom: this.settings.inPlaceFrom,
          onModel: writeModel,
        });
        this.#engine.catch(() => {
          this.#engine = undefined;
        });
        return this.#engine;
      },
    };
  }
}

// Beyond this a loop that never awaits would fill the memory with copies of what it feeds.
const defaultQueueLimit = 10_000;

let current: Session | undefined;

/** The session that jobs and CheckPoints made now belong to. */
export function defaultSession(): Session {
  assertOnlyCopy();
  current ??= new Session();
  return current;
}

/**
 * Closes the default session: its queued calls finish, its variables are gone, its jobs refuse further calls. What is
 * declared from now on belongs to a new one.
 * @flow clear_default_session
 * @example
 * ```ts
 * const one = flow.globalFunction({ name: "one" }, () => flow.constant(1, { dtype: flow.float }));
 * await one(); // -> [1]
 * await flow.clearDefaultSession();
 * await one(); // throws E_CLOSED
 * ```
 */
export async function clearDefaultSession(): Promise<void> {
  const closing = current;
  current = undefined;
  await closing?.close();
}

/** Waits until all calls made so far have ended and their callbacks have been called.  @flow sync_default_session */
export async function syncDefaultSession(): Promise<void> {
  await defaultSession().idle();
  // What ends a call takes a few promises to reach its callback; all of them run before the event loop's next turn.
  await new Promise((resolve) => setImmediate(resolve));
}

// Two copies of the package would keep two sessions and two registries: blobs and variables of one mean nothing to the other.
const copyKey = Symbol.for("onestep.copy");

function assertOnlyCopy(): void {
  const shared = globalThis as unknown as Record<symbol, string | undefined>;
  const other = (shared[copyKey] ??= import.meta.url);
  if (other !== import.meta.url) {
    throw new FlowError(
      "E_DUPLICATE_PACKAGE",
      `onestep is loaded twice in this process, from ${other} and ${import.meta.url}; keep one copy (npm ls onestep, npm dedupe)`,
    );
  }
}
