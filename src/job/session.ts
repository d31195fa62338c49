import { randomInt } from "node:crypto";
import { bug, FlowError } from "../core/errors.js";
import { streamOf } from "../core/rng.js";
import { NdArray, type Tensor } from "../core/tensor.js";
import type { EngineSession, Staging } from "../engines/engine.js";
import { sample } from "../initializers/initializer.js";
import { VariableRegistry, type VariableSpec } from "../variables/registry.js";
import { type CompiledJob, compile } from "./compile.js";
import { engineFor, type Settings } from "./config.js";
import { debugLevel, writeModel } from "./debug.js";
import { HostRunner } from "./host.js";
import { Queue } from "./queue.js";
import { argumentName, type Declaration, type TracedJob, traceJob } from "./trace-job.js";

interface ReadyJob {
  readonly traced: TracedJob;
  readonly compiled: CompiledJob;
  readonly host: HostRunner;
}

/** Jobs, their variables, and the engine that holds the values. One queue orders everything that touches them. */
export class Session {
  readonly settings: Settings = {};
  readonly registry = new VariableRegistry();
  readonly #queue = new Queue();
  readonly #declared = new Map<string, Declaration>();
  readonly #ready = new Map<string, ReadyJob>();
  readonly #initialized = new Set<string>();
  readonly #calls = new Map<string, number>();
  #engine: Promise<EngineSession> | undefined;
  #seed: number | undefined;
  #closed = false;

  /** True once the first job or CheckPoint call was made. */
  get running(): boolean {
    return this.#engine !== undefined;
  }

  /** The seed of all randomness: the user's, a loaded checkpoint's, or one drawn now. */
  get seed(): number {
    if (this.#seed === undefined) {
      this.#seed = this.settings.seed ?? randomInt(2 ** 32);
      if (debugLevel() >= 1) process.stderr.write(`--- seed ${this.#seed}\n`);
    }
    return this.#seed;
  }

  /** Calls each job has made; they choose the random streams of the next. */
  get calls(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#calls].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Adds a job; a name declared before is an error once it has been traced, and replaced before. */
  declare(declaration: Declaration): void {
    this.#assertOpen(`job '${declaration.name}'`);
    if (this.#ready.has(declaration.name)) {
      throw new FlowError(
        "E_DUPLICATE",
        `globalFunction: job '${declaration.name}' is in use since ${this.#declared.get(declaration.name)!.site}; use another name, or call clearDefaultSession first`,
      );
    }
    this.#declared.set(declaration.name, declaration);
  }

  /** Continues the random sequence of a saved run. A seed that the user set stays. */
  resume(seed: number, calls: Readonly<Record<string, number>>): void {
    this.#seed = this.settings.seed ?? seed;
    for (const [job, count] of Object.entries(calls)) this.#calls.set(job, count);
  }

  /** Runs `task` after everything asked for before, with all declared jobs traced and compiled. */
  enqueue<T>(what: string, task: () => Promise<T>): Promise<T> {
    return this.#queue.push(async () => {
      this.#assertOpen(what);
      await this.#start(what);
      return await task();
    });
  }

  /** Runs a job on feeds that are the session's own; resolves to its outputs. */
  async run(name: string, args: readonly Tensor[]): Promise<unknown> {
    const { traced, compiled, host } = this.#ready.get(name) ?? fail(name);
    const missing = compiled.reads.find((variable) => !this.#initialized.has(variable));
    if (missing !== undefined) {
      throw new FlowError(
        "E_UNINITIALIZED",
        `job '${name}': variable '${missing}' has no value; call checkPoint.init() or checkPoint.load(path) before the first job call, or checkPoint.init({ onlyMissing: true }) for variables of a job declared later`,
      );
    }
    const call = this.#calls.get(name) ?? 0;
    const feeds = new Map(args.map((arg, i) => [argumentName(i), arg]));
    await host.run({ seed: this.seed, call }, feeds);
    const engine = await this.#engine!;
    const outputs = await engine.run(
      name,
      compiled.feeds.map((feed) => feeds.get(feed)!),
    );
    this.#calls.set(name, call + 1);
    return traced.rebuild(outputs.map(({ data, shape, dtype }) => new NdArray(data, shape, dtype)));
  }

  /** A job as it was traced, for use beside the engine that runs it; undefined where the session has none of that name. */
  traced(name: string): TracedJob | undefined {
    return this.#ready.get(name)?.traced;
  }

  /** The first value of a variable: by its randomSeed, else by the session's seed and its name. */
  initialValue({ name, initializer, shape, dtype, randomSeed }: VariableSpec): Promise<Tensor> {
    const stream = randomSeed === undefined ? streamOf(this.seed, "init", name) : streamOf(randomSeed, "init");
    return sample(initializer, stream, shape, dtype);
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
  commit(staging: Staging & { readonly names: ReadonlySet<string> }): void {
    staging.commit();
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
    return this.#queue.push(async () => {
      this.#closed = true;
      for (const { host } of this.#ready.values()) await host.close();
      await (await this.#engine?.catch(() => undefined))?.close();
    });
  }

  #assertOpen(what: string): void {
    if (this.#closed)
      throw new FlowError("E_CLOSED", `${what}: its session was closed by clearDefaultSession; declare the job again`);
  }

  /** Traces and compiles the jobs declared since the last time. A failure leaves no trace of them. */
  async #start(what: string): Promise<void> {
    const fresh = [...this.#declared.values()].filter(({ name }) => !this.#ready.has(name));
    if (fresh.length === 0) {
      if (this.#declared.size === 0)
        throw new FlowError(
          "E_ARGUMENT",
          `${what}: the session has no job; declare one with flow.globalFunction first`,
        );
      return;
    }
    const engine = await engineFor(this.settings);
    const registry = new VariableRegistry();
    registry.commit(this.registry.all());
    const ready = new Map<string, ReadyJob>();
    for (const declaration of fresh) {
      const traced = traceJob(declaration, registry);
      const compiled = compile(traced, engine);
      registry.commit([...traced.variables.all.values()].map((variable) => variable.spec));
      ready.set(declaration.name, { traced, compiled, host: new HostRunner(declaration.name, compiled.hostNodes) });
    }
    this.#engine ??= engine.open({ threads: this.settings.threads, onModel: writeModel });
    const opened = await this.#engine.catch((error: unknown) => {
      this.#engine = undefined;
      throw error;
    });
    await opened.extend({
      jobs: [...ready.values()].map(({ compiled }) => compiled.native),
      variables: new Map(registry.all().map((spec) => [spec.name, spec])),
    });
    this.registry.commit(registry.all());
    for (const [name, job] of ready) this.#ready.set(name, job);
  }
}

function fail(name: string): never {
  throw bug(`job '${name}' was run before it was compiled`);
}

let current: Session | undefined;

/** The session that jobs and CheckPoints made now belong to. */
export function defaultSession(): Session {
  assertOnlyCopy();
  current ??= new Session();
  return current;
}

/**
 * Closes the default session: its queued calls finish, its variables are gone, its jobs refuse further calls. What is
 * declared from now on belongs to a new one.  @flow clear_default_session
 */
export async function clearDefaultSession(): Promise<void> {
  const closing = current;
  current = undefined;
  await closing?.close();
}

/** Waits until all calls made so far have ended.  @flow sync_default_session */
export async function syncDefaultSession(): Promise<void> {
  await defaultSession().idle();
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
