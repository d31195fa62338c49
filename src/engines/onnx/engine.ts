import { byteSize } from "../../core/dtype.js";
import { bug } from "../../core/errors.js";
import { sizeOf } from "../../core/shape.js";
import { type Tensor, zeros } from "../../core/tensor.js";
import { type Graph, inputsOf, type Node } from "../../graph/graph.js";
import {
  assertCheck,
  type Engine,
  type EngineOptions,
  type EngineSession,
  type QuickRun,
  type Staging,
} from "../engine.js";
import { defaultThreads, usableCores } from "../usable-cores.js";
import { chosenBlockSize } from "./block-size.js";
import { encodeModel, type OnnxModel } from "./encode.js";
import { gateName, type InPlaceModel, updateInPlace } from "./in-place.js";
import { lower, shallowFirst } from "./lower/model.js";
import { lowers } from "./lower/table.js";
import { unfitOptimizers } from "./optimizers.js";
import { fuse } from "./rewrite.js";
import { libraryPath, runtimeVersion } from "./session/library.js";
import { type Model, openRuntime, type Runtime, type Value } from "./session/runtime.js";
import type { Slot } from "./slot.js";
import { StagedRun } from "./staged-run.js";
import { readTuning } from "./tuning.js";

/** One ONNX model per job, run by onnxruntime: a training step is one native call. */
export const onnx: Engine = {
  name: "onnx",
  lowers,
  open: async (options) => new OnnxSession(await openRuntime(), options),
  report: async () => {
    const { kind } = await openRuntime();
    return {
      library: `onnxruntime ${runtimeVersion()}`,
      where: libraryPath(),
      threads: readTuning()?.threads ?? usableCores(),
      gpu: false,
      notes:
        kind === "c-api"
          ? []
          : [
              "it is reached through onnxruntime-node's binding, which makes small steps slower: koffi has no binary here, or ONESTEP_ONNX_BINDING=1 is set",
            ],
    };
  },
};

interface CompiledJob {
  readonly model: Model;
  readonly graph: Graph;
  /** What the graph reads. */
  readonly variables: readonly Slot[];
  /** What it updates. */
  readonly updated: readonly Slot[];
  /** Of these, what is written over the old value. */
  readonly inPlace: ReadonlySet<Slot>;
  /** Made for the first call after the job has proved quick. */
  staged: StagedRun | undefined;
}

// Bytes of all that a job updates. Below, a second buffer costs less than the nodes that order an update in place; so it does for a
// variable of less than this part of the whole.
const defaultInPlaceFrom = 64 * 2 ** 20;
const worthIt = 1000;

// Bytes of all values of a job from which memory counts more than the microseconds that a planned block saves a step.
const patternBelow = 16 * 2 ** 20;

const bytesOfValues = ({ nodes }: Graph): number =>
  nodes.flatMap(({ outputs }) => outputs).reduce((sum, { shape, dtype }) => sum + sizeOf(shape) * byteSize(dtype), 0);

// onnxruntime fuses x * sigmoid(x) and its like also in float64, where it has no kernel for the result.
const fusesWrong = ({ op, outputs }: Node): boolean =>
  (op === "sigmoid" || op === "tanh") && outputs[0]!.dtype === "float64";

class OnnxSession implements EngineSession {
  readonly gpu = false;
  readonly #jobs = new Map<string, CompiledJob>();
  readonly #slots = new Map<string, Slot>();
  constructor(
    readonly runtime: Runtime,
    readonly options: EngineOptions,
  ) {}

  async extend({ jobs, variables }: Parameters<EngineSession["extend"]>[0]): Promise<void> {
    for (const [name, type] of variables) {
      if (!this.#slots.has(name))
        this.#slots.set(name, { type, current: this.runtime.value(zeros(type.dtype, type.shape)), spare: undefined });
    }
    for (const { name, graph: given, context } of jobs) {
      const graph = fuse(given, context);
      const convolves = graph.nodes.some(({ op }) =>
        ["conv", "convInputGrad", "convFilterGrad", "onnx.convBias"].includes(op),
      );
      const block = convolves ? await chosenBlockSize(this.runtime, this.options.blockSize) : undefined;
      const { model, inPlace } = this.#inPlace(lower(name, graph, block), graph);
      // As a file for others it has its nodes in the order of their dependence.
      this.options.onModel?.(name, "onnx", await encodeModel(model));
      const bytes = await encodeModel({ ...model, nodes: shallowFirst(model.nodes) });
      const threads = this.options.threads ?? readTuning()?.threads ?? defaultThreads();
      const loaded = await this.runtime.load(bytes, model.inputs, model.outputs, {
        ...(threads === undefined ? {} : { threads }),
        unfit: unfitOptimizers(model),
        fusions: !graph.nodes.some(fusesWrong),
        memoryPattern: bytesOfValues(graph) < patternBelow,
      });
      this.#forget(name);
      this.#jobs.set(name, {
        model: loaded,
        graph,
        variables: inputsOf(graph, "variable").map((node) => this.#slot(String(node.attrs.name))),
        updated: [...graph.updates.keys()].map((variable) => this.#slot(variable)),
        inPlace: new Set([...inPlace].map((variable) => this.#slot(variable))),
        staged: undefined,
      });
    }
  }

  async run(job: string, feeds: readonly Tensor[]): Promise<readonly Tensor[]> {
    const quick = this.quick(job);
    if (quick !== undefined) {
      for (const [i, feed] of feeds.entries()) (quick.feeds[i]!.data as Float32Array).set(feed.data as Float32Array);
      return quick.run();
    }
    const { model, graph, variables, updated, inPlace } = this.#job(job);
    const outputs = [...graph.outputs, ...graph.checks.map((check) => check.blob)].map((blob) =>
      zeros(blob.dtype, blob.shape),
    );
    const swapped = updated.filter((slot) => !inPlace.has(slot));
    for (const slot of swapped) slot.spare ??= this.runtime.value(zeros(slot.type.dtype, slot.type.shape));
    const inputValues = feeds.map((feed) => this.runtime.value(feed));
    const outputValues = outputs.map((output) => this.runtime.value(output));
    try {
      // The order of lower(): results, next values, checks.
      const results = outputValues.slice(0, graph.outputs.length);
      const checks = outputValues.slice(graph.outputs.length);
      const assertChecks = (): void => {
        for (const [i, check] of graph.checks.entries()) assertCheck(check, outputs[graph.outputs.length + i]!);
      };
      try {
        await model.run(
          [...inputValues, ...variables.map((slot) => slot.current)],
          [...results, ...updated.map((slot) => (inPlace.has(slot) ? slot.current : slot.spare!)), ...checks],
        );
      } catch (error) {
        // The gate fails once the checks are written.
        if (String((error as Error).message).includes(gateName)) assertChecks();
        throw error;
      }
      assertChecks();
    } finally {
      for (const value of [...inputValues, ...outputValues]) value.release();
    }
    for (const slot of swapped) [slot.current, slot.spare] = [slot.spare!, slot.current];
    return outputs.slice(0, graph.outputs.length);
  }

  quick(job: string): QuickRun | undefined {
    const compiled = this.#job(job);
    // Small models have two buffers, and only their steps are quick.
    if (!compiled.model.quick || compiled.inPlace.size > 0) return undefined;
    compiled.staged ??= new StagedRun(this.runtime, compiled);
    return compiled.staged;
  }

  /** The model with the variables of a large job updated in place, where the runtime writes results into buffers that it is given. */
  #inPlace(model: OnnxModel, graph: Graph): InPlaceModel {
    const sizes = [...graph.updates].map(
      ([name, { shape, dtype }]) => [name, sizeOf(shape) * byteSize(dtype)] as const,
    );
    const total = sizes.reduce((sum, [, bytes]) => sum + bytes, 0);
    if (this.runtime.kind !== "c-api" || total < (this.options.inPlaceFrom ?? defaultInPlaceFrom))
      return { model, inPlace: new Set() };
    const large = sizes.flatMap(([name, bytes]) => (bytes * worthIt >= total ? [name] : []));
    return updateInPlace(model, new Set(large), graph.checks);
  }

  drop(job: string): Promise<void> {
    this.#forget(job);
    return Promise.resolve();
  }

  read(variable: string): Promise<Tensor> {
    const { tensor } = this.#slot(variable).current;
    const copy = zeros(tensor.dtype, tensor.shape);
    (copy.data as Float32Array).set(tensor.data as Float32Array);
    return Promise.resolve(copy);
  }

  write(variable: string, value: Tensor): Promise<void> {
    (this.#slot(variable).current.tensor.data as Float32Array).set(value.data as Float32Array);
    return Promise.resolve();
  }

  view(variable: string): Promise<Tensor> {
    return Promise.resolve(this.#slot(variable).current.tensor);
  }

  /** A spare buffer that a train job keeps is filled and swapped in; else new memory takes the place of the old. */
  stage(): Staging {
    const fresh = new Map<string, Value>();
    const staged = new Set<string>();
    return {
      tensor: (name) => {
        const slot = this.#slot(name);
        staged.add(name);
        if (slot.spare !== undefined) return slot.spare.tensor;
        const value = fresh.get(name) ?? this.runtime.value(zeros(slot.type.dtype, slot.type.shape));
        fresh.set(name, value);
        return value.tensor;
      },
      commit: () => {
        for (const name of staged) {
          const slot = this.#slot(name);
          const value = fresh.get(name);
          if (value === undefined) [slot.current, slot.spare] = [slot.spare!, slot.current];
          else {
            slot.current.release();
            slot.current = value;
          }
        }
        staged.clear();
        fresh.clear();
        return Promise.resolve();
      },
      discard() {
        for (const value of fresh.values()) value.release();
        staged.clear();
        fresh.clear();
      },
    };
  }

  close(): Promise<void> {
    for (const name of this.#jobs.keys()) this.#forget(name);
    for (const { current, spare } of this.#slots.values()) {
      current.release();
      spare?.release();
    }
    this.#slots.clear();
    return Promise.resolve();
  }

  #forget(job: string): void {
    const known = this.#jobs.get(job);
    known?.staged?.release();
    known?.model.release();
    this.#jobs.delete(job);
  }

  #job(name: string): CompiledJob {
    const job = this.#jobs.get(name);
    if (job === undefined) throw bug(`onnx engine: job '${name}' is unknown`);
    return job;
  }

  #slot(name: string): Slot {
    const slot = this.#slots.get(name);
    if (slot === undefined) throw bug(`onnx engine: variable '${name}' is unknown`);
    return slot;
  }
}
