import { FlowError } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import type { BlobType } from "../graph/blob.js";
import type { Check, Graph, Node } from "../graph/graph.js";
import type { TraceContext } from "../graph/trace.js";

/** A job as an engine gets it: no host nodes, only ops the engine has rows for. */
export interface NativeJob {
  readonly name: string;
  readonly graph: Graph;
  readonly context: TraceContext;
}

/** Jobs that share variables. */
export interface Program {
  readonly jobs: readonly NativeJob[];
  readonly variables: ReadonlyMap<string, BlobType>;
}

export interface EngineOptions {
  /** Threads of one op; the engine's own choice (all cores) where left out. */
  readonly threads?: number | undefined;
  /** Channels that the onnx engine's convolutions keep together, 0 for plain ones; the engine's own choice where left out. */
  readonly blockSize?: number | undefined;
  /** Bytes of all that a job updates, from which on an engine that can writes next values over the old ones; its own choice where left out. */
  readonly inPlaceFrom?: number | undefined;
  /** Receives what the engine made of a job, for `ONESTEP_DEBUG=3`. */
  readonly onModel?: ((job: string, extension: string, bytes: Uint8Array | string) => void) | undefined;
}

/** Next values of some variables, filled in before any variable changes. */
export interface Staging {
  /** Memory for a variable's next value, the same each time; what is in it at first means nothing. */
  tensor(variable: string): Tensor;
  /** Makes every tensor asked for the value of its variable, all at once. */
  commit(): Promise<void>;
  /** Gives the memory back; without effect after `commit`. */
  discard(): void;
}

/** A job that takes so little time that the event loop can wait for it, run by filling its feeds and calling `run`. */
export interface QuickRun {
  /** Memory for the feeds, in the order of the graph's placeholders; the same at each run. */
  readonly feeds: readonly Tensor[];
  /** As `EngineSession.run`, at once; an error is thrown. */
  run(): readonly Tensor[];
}

/**
 * Runs jobs on values only it knows the place of. Calls are made one at a time. A `run` that rejects has changed no
 * variable; tensors handed out are the caller's.
 */
export interface EngineSession {
  /** Whether there is a GPU for the ops that are placed on one. */
  readonly gpu: boolean;
  /** Adds jobs and variables; values that exist stay. */
  extend(program: Program): Promise<void>;
  /** Runs a job; `feeds` in the order of the graph's placeholders. Returns its outputs after updates are committed. */
  run(job: string, feeds: readonly Tensor[]): Promise<readonly Tensor[]>;
  /** A job that is known to be quick; undefined where it is not, or not yet, or no longer: to be asked before each run. */
  quick?(job: string): QuickRun | undefined;
  /** Forgets a job and frees what only it needs; variables stay. */
  drop(job: string): Promise<void>;
  read(variable: string): Promise<Tensor>;
  /** The value itself where it can be seen without a copy: not to be changed, and good until the next `run`, `write` or `commit`. */
  view(variable: string): Promise<Tensor>;
  /** Begins to change many variables at once. Nothing else is called until it is committed or discarded. */
  stage(): Staging;
  write(variable: string, value: Tensor): Promise<void>;
  close(): Promise<void>;
}

/** What an engine runs on. */
export interface EngineReport {
  /** The native library and its version. */
  readonly library: string;
  /** Where it was found. */
  readonly where: string;
  /** Threads of one op, where a program does not say. */
  readonly threads: number;
  readonly gpu: boolean;
  /** What works less well than it could, and how to mend it. */
  readonly notes: readonly string[];
}

export interface Engine {
  readonly name: string;
  /** Whether the engine has a row of its own, fit for these types and attributes, for an op that also has a decomposition. */
  lowers(node: Node): boolean;
  open(options: EngineOptions): Promise<EngineSession>;
  /** Loads the engine and tells what it found; the error says what is wrong and how to mend it. */
  report(): Promise<EngineReport>;
}

/** An error of the check's code where the value of a hidden check lies outside its range. */
export function assertCheck({ low, high, what, code, message }: Check, { data }: Tensor): void {
  for (const value of data) {
    if (Number(value) < low || Number(value) > high)
      throw new FlowError(
        code,
        `${message ?? `${what} ${value} is outside [${low}, ${high}]`}; the step was not made and no variable changed`,
      );
  }
}
