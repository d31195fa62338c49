import { availableParallelism } from "node:os";
import { bug, FlowError } from "../../core/errors.js";
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
import { edgeTypes, fromEdge, toEdge } from "./edge.js";
import { encodeSavedModel } from "./encode.js";
import { type LoweredJob, type LoweredVariable, lowerJob, lowerVariable } from "./lower/model.js";
import { lowers } from "./lower/table.js";
import { pools } from "./rewrite.js";
import { type Feed, type Model, openRuntime, type Runtime } from "./session/runtime.js";

/** All jobs as one TensorFlow graph whose variables live in one session of tfjs-node's binding: a step is one native call. */
export const tensorflow: Engine = {
  name: "tensorflow",
  lowers,
  open: async (options) => new TensorFlowSession(await openRuntime(options), options),
  report: async () => {
    const { version, binding, gpu, threads } = await openRuntime();
    return {
      library: `TensorFlow ${version}, by tfjs-node's binding`,
      where: binding,
      threads: threads ?? Number(process.env.TF_NUM_INTRAOP_THREADS ?? availableParallelism()),
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
      const fresh = [...variables].filter(([name]) => !this.#variables.has(name));
      // One call for all: TensorFlow prepares each new set of fetches for longer than it runs it.
      if (fresh.length > 0)
        await model.run(
          [],
          fresh.map(([, { zeroed }]) => zeroed),
        );
      for (const name of this.#variables.keys()) await this.#write(model, variables.get(name)!, await this.read(name));
    } catch (error) {
      await model.release();
      throw error;
    }
    await this.#model?.release();
    [this.#model, this.#jobs, this.#variables] = [model, jobs, variables];
  }

  async run(name: string, feeds: readonly Tensor[]): Promise<readonly Tensor[]> {
    const {
      native: { graph },
      outputs,
      checks,
      done,
      feeds: labels,
    } = found("job", name, this.#jobs);
    const fed = feeds.map((feed, i) => feedOf(labels[i]!, feed));
    const model = this.#loaded();
    const results = await model.run(fed, [...outputs, done], { keep: true }).catch((cause: unknown) => {
      throw ofJob(name, cause);
    });
    if (new Uint8Array(results.at(-1)!)[0] === 0) {
      // Nothing has changed, so what is fed gives the same again.
      const values = await model.run(fed, checks);
      for (const [i, check] of graph.checks.entries())
        assertCheck(check, fromEdge(check.blob.dtype, check.blob.shape, values[i]!));
      throw bug(`tensorflow engine: a check of job '${name}' failed, and holds when looked at`);
    }
    return graph.outputs.map(({ dtype, shape }, i) => fromEdge(dtype, shape, results[i]!));
  }

  /** The job's nodes stay in the graph, without being run, until jobs are added. */
  drop(name: string): Promise<void> {
    this.#jobs = new Map([...this.#jobs].filter(([job]) => job !== name));
    return Promise.resolve();
  }

  async read(name: string): Promise<Tensor> {
    const {
      read,
      type: { dtype, shape },
    } = found("variable", name, this.#variables);
    const [value] = await this.#loaded().run([], [read]);
    return fromEdge(dtype, shape, value!);
  }

  async write(name: string, value: Tensor): Promise<void> {
    await this.#write(this.#loaded(), found("variable", name, this.#variables), value);
  }

  /** A copy: the value itself lies in TensorFlow. */
  view(name: string): Promise<Tensor> {
    return this.read(name);
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
        const writes = [...staged].map(([name, tensor]) => ({
          ...found("variable", name, this.#variables),
          tensor,
        }));
        if (writes.length > 0)
          await this.#loaded().run(
            writes.map(({ value, tensor }) => feedOf(value, tensor)),
            writes.map(({ written }) => written),
          );
        staged.clear();
      },
      discard: () => staged.clear(),
    };
  }

  async close(): Promise<void> {
    await this.#model?.release();
    this.#model = undefined;
    this.#jobs = new Map();
    this.#variables = new Map();
  }

  async #write(model: Model, { value, written, type: { dtype } }: Variable, tensor: Tensor): Promise<void> {
    await model.run([feedOf(value, { ...tensor, dtype } as Tensor)], [written]);
  }

  #loaded(): Model {
    if (this.#model === undefined) throw bug("tensorflow engine: nothing has been loaded");
    return this.#model;
  }
}

/** TensorFlow's words name the node, whose name has the op's in it; this adds the job's. */
function ofJob(name: string, cause: unknown): unknown {
  if (!(cause instanceof FlowError)) return cause;
  const words = cause.message.replace(/^tensorflow: /, "").replace(/ \[E_ENGINE\]$/, "");
  return new FlowError("E_ENGINE", `job '${name}': ${words}; the step was not made and no variable changed`, { cause });
}

const feedOf = (name: string, tensor: Tensor): Feed => ({
  name,
  type: edgeTypes[tensor.dtype],
  shape: tensor.shape,
  bytes: toEdge(tensor),
});

function found<T>(what: string, name: string, map: ReadonlyMap<string, T>): T {
  const value = map.get(name);
  if (value === undefined) throw bug(`tensorflow engine: ${what} '${name}' is unknown`);
  return value;
}
