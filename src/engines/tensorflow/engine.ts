import { bug, FlowError } from "../../core/errors.js";
import { sizeOf } from "../../core/shape.js";
import { type Tensor, zeros } from "../../core/tensor.js";
import type { BlobType } from "../../graph/blob.js";
import {
  assertCheck,
  type Engine,
  type EngineOptions,
  type EngineSession,
  type NativeJob,
  type Program,
  type Staging,
} from "../engine.js";
import { usableCores } from "../usable-cores.js";
import { fromEdge, toEdge } from "./edge.js";
import { encodeSavedModel } from "./encode.js";
import { type Feed, type LoweredJob, type LoweredVariable, lowerJob, lowerVariable } from "./lower/model.js";
import { lowers } from "./lower/table.js";
import { pools } from "./rewrite.js";
import { type Call, type Model, openRuntime, type Runtime } from "./session/runtime.js";

/** All jobs as one TensorFlow graph whose variables live in one session of tfjs-node's library: a step is one native call. */
export const tensorflow: Engine = {
  name: "tensorflow",
  lowers,
  open: async (options) => new TensorFlowSession(await openRuntime(options), options),
  report: async () => {
    const { version, path, gpu, threads } = await openRuntime();
    return {
      library: `TensorFlow ${version}, tfjs-node's library`,
      where: path,
      threads: Number(process.env.TF_NUM_INTRAOP_THREADS ?? threads ?? usableCores()),
      gpu,
      notes: [],
    };
  },
};

interface Variable extends LoweredVariable {
  readonly type: BlobType;
}
interface Job extends LoweredJob {
  readonly native: NativeJob;
}

class TensorFlowSession implements EngineSession {
  #jobs: ReadonlyMap<string, Job> = new Map();
  #variables: ReadonlyMap<string, Variable> = new Map();
  #model: Model | undefined;
  /** The steps of jobs that have run. */
  readonly #steps = new Map<string, Call>();
  /** Values read along with one that was viewed; a step or a write makes them old. */
  #viewed = new Map<string, Tensor>();
  #count = 0;
  constructor(
    readonly runtime: Runtime,
    readonly options: EngineOptions,
  ) {}

  get gpu(): boolean {
    return this.runtime.gpu;
  }

  /** Loads a graph of all jobs and moves the values over: the cost of a job declared later is that of reading and writing them. */
  async extend({ jobs: added, variables: wanted }: Program): Promise<void> {
    const variables = new Map(this.#variables);
    for (const [name, { dtype, shape }] of wanted)
      if (!variables.has(name))
        variables.set(name, {
          ...lowerVariable(`v${this.#count++}`, { dtype, shape }),
          type: { dtype, shape },
        });
    const jobs = new Map(this.#jobs);
    for (const native of added)
      jobs.set(native.name, {
        ...lowerJob(
          `j${this.#count++}`,
          pools(native.graph, native.context),
          (name) => found("variable", name, variables).handle,
          { gpu: this.gpu },
        ),
        native,
      });
    const parts = [...variables.values(), ...jobs.values()];
    const bytes = await encodeSavedModel(parts.flatMap(({ nodes }) => nodes));
    for (const { name } of added) this.options.onModel?.(name, "saved_model.pb", bytes);
    const model = await this.runtime.load(bytes);
    try {
      // TensorFlow prepares the graph anew for each set of feeds and fetches, so that few sets are asked for.
      const fresh = [...variables].flatMap(([name, { zeroed }]) => (this.#variables.has(name) ? [] : [zeroed]));
      if (fresh.length > 0) await once(model, [], fresh);
      for (const names of this.#groups([...this.#variables.keys()])) {
        const values = await this.#read(names);
        await write(
          model,
          values.map((tensor, i) => ({ variable: variables.get(names[i]!)!, tensor })),
        );
      }
    } catch (error) {
      await model.release();
      throw error;
    }
    await this.#release();
    [this.#model, this.#jobs, this.#variables] = [model, jobs, variables];
  }

  async run(name: string, feeds: readonly Tensor[]): Promise<readonly Tensor[]> {
    const job = found("job", name, this.#jobs);
    const { graph } = job.native;
    const fed = feeds.map(toEdge);
    this.#viewed.clear();
    const results = await this.#step(job)
      .run(fed)
      .catch((cause: unknown) => {
        throw ofJob(name, cause);
      });
    if (new Uint8Array(results.at(-1)!)[0] === 0) {
      // Nothing has changed, so what is fed gives the same again.
      const values = await once(
        this.#loaded(),
        job.feeds.map((feed, i) => ({ feed, bytes: fed[i]! })),
        job.checks,
      );
      for (const [i, check] of graph.checks.entries())
        assertCheck(check, fromEdge(check.blob.dtype, check.blob.shape, values[i]!));
      throw bug(`tensorflow engine: a check of job '${name}' failed, and holds when looked at`);
    }
    return graph.outputs.map(({ dtype, shape }, i) => fromEdge(dtype, shape, results[i]!));
  }

  /** The job's nodes stay in the graph, without being run, until jobs are added. */
  drop(name: string): Promise<void> {
    this.#steps.get(name)?.release();
    this.#steps.delete(name);
    this.#jobs = new Map([...this.#jobs].filter(([job]) => job !== name));
    return Promise.resolve();
  }

  async read(name: string): Promise<Tensor> {
    const [value] = await this.#read([name]);
    return value!;
  }

  async write(name: string, tensor: Tensor): Promise<void> {
    this.#viewed.clear();
    await write(this.#loaded(), [{ variable: found("variable", name, this.#variables), tensor }]);
  }

  /** A copy: the value itself lies in TensorFlow. Those that follow in the order of names are read along, for who saves them all. */
  async view(name: string): Promise<Tensor> {
    if (!this.#viewed.has(name)) {
      const names = [...this.#variables.keys()].sort();
      const group = this.#groups(names.slice(names.indexOf(name)))[0]!;
      const values = await this.#read(group);
      this.#viewed = new Map(group.map((one, i) => [one, values[i]!]));
    }
    const value = this.#viewed.get(name)!;
    this.#viewed.delete(name);
    return value;
  }

  /** Collects next values, which one native call writes. */
  stage(): Staging {
    const staged = new Map<string, Tensor>();
    return {
      tensor: (name) => {
        const { dtype, shape } = found("variable", name, this.#variables).type;
        const tensor = staged.get(name) ?? zeros(dtype, shape);
        staged.set(name, tensor);
        return tensor;
      },
      commit: async () => {
        this.#viewed.clear();
        await write(
          this.#loaded(),
          [...staged].map(([name, tensor]) => ({ variable: found("variable", name, this.#variables), tensor })),
        );
        staged.clear();
      },
      discard: () => staged.clear(),
    };
  }

  async close(): Promise<void> {
    await this.#release();
    this.#model = undefined;
    this.#jobs = new Map();
    this.#variables = new Map();
  }

  async #read(names: readonly string[]): Promise<readonly Tensor[]> {
    const variables = names.map((name) => found("variable", name, this.#variables));
    const values = await once(
      this.#loaded(),
      [],
      variables.map(({ read }) => read),
    );
    return variables.map(({ type: { dtype, shape } }, i) => fromEdge(dtype, shape, values[i]!));
  }

  /** Names in runs of some 64 MB together: that many values are on their way at once. */
  #groups(names: readonly string[]): readonly (readonly string[])[] {
    const groups: string[][] = [];
    let bytes = Infinity;
    for (const name of names) {
      bytes += 8 * sizeOf(this.#variables.get(name)!.type.shape);
      if (bytes > groupBytes) {
        groups.push([]);
        bytes = 0;
      }
      groups.at(-1)!.push(name);
    }
    return groups;
  }

  #step({ native: { name }, feeds, outputs, done }: Job): Call {
    const step = this.#steps.get(name) ?? this.#loaded().call(feeds, [...outputs, done]);
    this.#steps.set(name, step);
    return step;
  }

  async #release(): Promise<void> {
    for (const step of this.#steps.values()) step.release();
    this.#steps.clear();
    this.#viewed.clear();
    await this.#model?.release();
  }

  #loaded(): Model {
    if (this.#model === undefined) throw bug("tensorflow engine: nothing has been loaded");
    return this.#model;
  }
}

const groupBytes = 64 * 2 ** 20;

/** A value for a placeholder of the graph. */
interface Fed {
  readonly feed: Feed;
  readonly bytes: Uint8Array;
}

/** A call that is made once. */
async function once(model: Model, fed: readonly Fed[], fetches: readonly string[]): Promise<readonly ArrayBuffer[]> {
  const call = model.call(
    fed.map(({ feed }) => feed),
    fetches,
  );
  try {
    return await call.run(fed.map(({ bytes }) => bytes));
  } finally {
    call.release();
  }
}

/** Writes variables in one native call. */
async function write(
  model: Model,
  writes: readonly { readonly variable: LoweredVariable & { readonly type: BlobType }; readonly tensor: Tensor }[],
): Promise<void> {
  if (writes.length === 0) return;
  await once(
    model,
    writes.map(({ variable, tensor }) => ({
      feed: variable.value,
      bytes: toEdge({ ...tensor, dtype: variable.type.dtype } as Tensor),
    })),
    writes.map(({ variable }) => variable.written),
  );
}

/** TensorFlow's words name the node, whose name has the op's in it; this adds the job's. */
function ofJob(name: string, cause: unknown): unknown {
  if (!(cause instanceof FlowError)) return cause;
  const words = cause.message.replace(/^tensorflow: /, "").replace(/ \[E_ENGINE\]$/, "");
  return new FlowError("E_ENGINE", `job '${name}': ${words}; the step was not made and no variable changed`, { cause });
}

function found<T>(what: string, name: string, map: ReadonlyMap<string, T>): T {
  const value = map.get(name);
  if (value === undefined) throw bug(`tensorflow engine: ${what} '${name}' is unknown`);
  return value;
}
