import { FlowError } from "../core/errors.js";
import { NdArray, type Tensor } from "../core/tensor.js";
import type { Engine, EngineSession, NativeJob, QuickRun } from "../engines/engine.js";
import { rootsOf } from "../graph/graph.js";
import { print } from "../graph/print.js";
import { accumulationStepName } from "../optim/apply.js";
import type { VariableRegistry, VariableSpec } from "../variables/registry.js";
import { type CompiledJob, type CompiledPhase, compile } from "./compile.js";
import { HostRunner } from "./host.js";
import { exampleShape, isDynamic, shapeKey } from "./placeholder.js";
import { argumentName, type Declaration, type TracedJob, traceJob } from "./trace-job.js";

/** What a job needs of the session it runs in. */
export interface JobHost {
  readonly engine: Engine;
  readonly checkNumerics: boolean;
  readonly recompute: boolean;
  /** Opened at the first native graph. */
  open(): Promise<EngineSession>;
  readonly registry: VariableRegistry;
  readonly seed: number;
  isInitialized(variable: string): boolean;
}

/** A call's result, and what the watchers' handlers have promised. */
export interface CallOutcome {
  readonly result: unknown;
  readonly handled: readonly Promise<unknown>[];
}

/** A call that ends where it is made: copy its feeds into `feeds`, in the order of the arguments, and run it. */
export interface QuickCall {
  readonly feeds: readonly Tensor[];
  /** The call's result. */
  run(): unknown;
}

/** A job compiled for the shapes of some calls. */
interface Variant {
  /** The shapes. */
  readonly key: string;
  readonly traced: TracedJob;
  readonly compiled: CompiledJob;
  readonly host: HostRunner;
  loaded: boolean;
}

// Native graphs of a dynamic job; the one least recently used goes.
const keptVariants = 8;

/** A job whose function has been traced: native graphs for the shapes it has met. */
export class ReadyJob {
  readonly #variants = new Map<string, Variant>();
  #latest: Variant | undefined;
  readonly #dynamic: boolean;
  /** The call over the quick run that the engine gave last. */
  #quick: { readonly native: QuickRun; readonly call: QuickCall } | undefined;
  /** Phases whose variables have all been found to have values, which they never lose. */
  readonly #complete = new WeakSet<CompiledPhase>();

  private constructor(
    readonly declaration: Declaration,
    readonly host: JobHost,
  ) {
    this.#dynamic = declaration.placeholders.some(isDynamic);
  }

  /** Traces and compiles a job for shapes that its placeholders allow, without the engine. Its variables join `registry`. */
  static prepare(declaration: Declaration, host: JobHost, registry: VariableRegistry): ReadyJob {
    const job = new ReadyJob(declaration, host);
    const shapes = declaration.placeholders.map(exampleShape);
    job.#prepare(shapeKey(shapes), shapes, registry);
    return job;
  }

  /** The native graphs to load before any call: those of jobs with fixed shapes. Dynamic jobs load them when called. */
  pending(): readonly NativeJob[] {
    if (this.#dynamic) return [];
    const waiting = [...this.#variants.values()].filter(({ loaded }) => !loaded);
    return waiting.flatMap(({ compiled }) => nativesOf(compiled));
  }

  /** To be called when what was pending is in the engine. */
  loaded(): void {
    if (!this.#dynamic) for (const variant of this.#variants.values()) variant.loaded = true;
  }

  /** The job as it was traced and compiled last. */
  get latest(): Variant {
    return this.#latest!;
  }

  /** Whether `other` computes the same from the same, so that its native graphs can stay. */
  computesAs(other: ReadyJob): boolean {
    const text = (job: ReadyJob): string =>
      [
        ...job.latest.compiled.hostNodes.map(({ name }) => name),
        ...phasesOf(job.latest.compiled).map(({ native }) => print(native.graph)),
      ].join("\n");
    return text(this) === text(other);
  }

  /** Takes over the native graph of a job that computes the same, with this one's function results and watchers. */
  adopt(other: ReadyJob): void {
    const { key, traced, compiled } = this.latest;
    const old = other.#variants.get(key);
    if (old !== undefined) this.#keep({ ...old, traced, compiled: { ...old.compiled, watches: compiled.watches } });
  }

  /** Whether an op of the function is placed on a GPU. */
  get wantsGpu(): boolean {
    return this.latest.traced.builder.nodes.some(({ device }) => device?.startsWith("gpu"));
  }

  /** Names of the native graphs in the engine. */
  get natives(): readonly string[] {
    const loaded = [...this.#variants.values()].filter((variant) => variant.loaded);
    return loaded.flatMap(({ compiled }) => nativesOf(compiled).map(({ name }) => name));
  }

  async run(feeds: readonly Tensor[], call: number): Promise<CallOutcome> {
    const variant = this.#dynamic ? await this.#variant(feeds) : this.latest;
    const { traced, compiled, host } = variant;
    const engine = await this.host.open();
    const phase = await this.#phase(compiled, engine);
    this.#assertComplete(phase);
    const values = new Map(feeds.map((feed, i) => [argumentName(i), feed]));
    await host.run({ seed: this.host.seed, call }, values);
    const fed = phase.feeds.map((feed) => values.get(feed)!);
    const tensors = computes(phase) ? await engine.run(phase.native.name, fed) : [];
    const outputs = tensors.map(arrayOf);
    const own = outputs.length - compiled.watches.length;
    return {
      result: traced.rebuild(outputs.slice(0, own)),
      handled: compiled.watches.map(({ handle, cut }, i) => attempt(() => handle(cut(outputs[own + i]!, outputs)))),
    };
  }

  /** The next call, where it is nothing but a native run that is known to be quick. */
  quick(engine: EngineSession): QuickCall | undefined {
    const { traced, compiled, loaded } = this.latest;
    const { whole, gather, hostNodes, watches } = compiled;
    if (this.#dynamic || !loaded || gather !== undefined || hostNodes.length > 0 || watches.length > 0)
      return undefined;
    if (!this.#complete.has(whole) || whole.feeds.length !== this.declaration.placeholders.length) return undefined;
    const native = engine.quick?.(whole.native.name);
    if (native === undefined) return undefined;
    if (this.#quick?.native !== native) {
      const feeds = this.declaration.placeholders.map((_, i) => native.feeds[whole.feeds.indexOf(argumentName(i))]!);
      this.#quick = { native, call: { feeds, run: () => traced.rebuild(native.run().map(arrayOf)) } };
    }
    return this.#quick.call;
  }

  /** Names of the variables that the next call would read. */
  reads(): readonly string[] {
    return this.latest.compiled.variables.map(({ name }) => name);
  }

  async close(): Promise<void> {
    for (const { host } of this.#variants.values()) await host.close();
  }

  #assertComplete(phase: CompiledPhase): void {
    if (this.#complete.has(phase)) return;
    const missing = phase.reads.find((variable) => !this.host.isInitialized(variable));
    if (missing !== undefined) {
      throw new FlowError(
        "E_UNINITIALIZED",
        `job '${this.declaration.name}': variable '${missing}' has no value; call checkPoint.init() or checkPoint.load(path) before the first job call, or checkPoint.init({ onlyMissing: true }) for variables of a job declared later`,
      );
    }
    this.#complete.add(phase);
  }

  async #phase({ whole, gather }: CompiledJob, engine: EngineSession): Promise<CompiledPhase> {
    if (gather === undefined) return whole;
    const { data } = await engine.read(accumulationStepName(this.declaration.name));
    return Number(data[0]) >= gather.calls - 1 ? whole : gather.phase;
  }

  /** The variant for what a call feeds, made and loaded where it is new. */
  async #variant(feeds: readonly Tensor[]): Promise<Variant> {
    const key = shapeKey(feeds.map(({ shape }) => shape));
    let variant = this.#variants.get(key);
    if (variant === undefined) {
      const registry = this.host.registry.copy();
      variant = this.#prepare(
        key,
        feeds.map(({ shape }) => shape),
        registry,
      );
      await this.#load(variant, registry.all());
      this.host.registry.commit(registry.all());
    } else if (!variant.loaded) await this.#load(variant);
    this.#keep(variant);
    await this.#forgetOldest();
    return variant;
  }

  #prepare(key: string, shapes: Parameters<typeof traceJob>[1], registry: VariableRegistry): Variant {
    const { engine, checkNumerics } = this.host;
    const traced = traceJob(this.declaration, shapes, registry, this.host.recompute);
    const compiled = compile(traced, engine, { checkNumerics, variant: this.#dynamic ? ` ${key}` : "" });
    registry.commit(compiled.variables);
    const host = new HostRunner(this.declaration.name, compiled.hostNodes);
    const variant = { key, traced, compiled, host, loaded: false };
    this.#keep(variant);
    return variant;
  }

  /** Puts a variant last, as the one used last: the order of a Map is that of insertion. */
  #keep(variant: Variant): void {
    this.#variants.delete(variant.key);
    this.#variants.set(variant.key, variant);
    this.#latest = variant;
  }

  async #load(variant: Variant, variables: readonly VariableSpec[] = this.host.registry.all()): Promise<void> {
    if (variant.loaded) return;
    const engine = await this.host.open();
    await engine.extend({
      jobs: nativesOf(variant.compiled),
      variables: new Map(variables.map((spec) => [spec.name, spec])),
    });
    variant.loaded = true;
  }

  async #forgetOldest(): Promise<void> {
    for (const [key, variant] of this.#variants) {
      if (this.#variants.size <= keptVariants) return;
      this.#variants.delete(key);
      await variant.host.close();
      if (!variant.loaded) continue;
      const engine = await this.host.open();
      for (const { name } of nativesOf(variant.compiled)) await engine.drop(name);
    }
  }
}

const arrayOf = ({ data, shape, dtype }: Tensor): NdArray => new NdArray(data, shape, dtype);

const phasesOf = ({ whole, gather }: CompiledJob): readonly CompiledPhase[] =>
  gather === undefined ? [whole] : [gather.phase, whole];

/** False where nothing leaves the native graph: engines have no use for it. */
const computes = ({ native }: CompiledPhase): boolean => rootsOf(native.graph).length > 0;

const nativesOf = (compiled: CompiledJob): readonly NativeJob[] =>
  phasesOf(compiled)
    .filter(computes)
    .map(({ native }) => native);

/** A handler's result as a promise that nobody has to wait for. */
function attempt(task: () => unknown): Promise<unknown> {
  const done = new Promise((resolve) => resolve(task()));
  done.catch(() => undefined);
  return done;
}
