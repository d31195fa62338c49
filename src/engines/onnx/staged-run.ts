import { sizeOf } from "../../core/shape.js";
import { type Tensor, zeros } from "../../core/tensor.js";
import type { BlobType } from "../../graph/blob.js";
import { type Graph, inputsOf } from "../../graph/graph.js";
import { assertCheck, type QuickRun } from "../engine.js";
import type { Model, Runtime, Value } from "./session/runtime.js";
import type { Slot } from "./slot.js";

/** Elements up to which a result is copied out of memory that stays; beyond, it gets memory of its own and is written there. */
const copiedUpTo = 4096;

/**
 * Runs a quick job with as little around the native call as there can be: feeds, checks and small results have memory that
 * stays, with native values over it. Making and releasing a value takes as long as two kernels of a small graph.
 */
export class StagedRun implements QuickRun {
  readonly feeds: readonly Tensor[];
  readonly #model: Model;
  readonly #graph: Graph;
  readonly #variables: readonly Slot[];
  readonly #updated: readonly Slot[];
  /** What the model gets and fills, in the order of `lower`: feeds, variables; results, next values, checks. */
  readonly #inputs: Value[];
  readonly #outputs: Value[];
  /** Values that stay. */
  readonly #kept: readonly Value[];
  /** Results that get memory of their own at each run. */
  readonly #large: readonly number[];

  constructor(
    readonly runtime: Runtime,
    {
      model,
      graph,
      variables,
      updated,
    }: {
      readonly model: Model;
      readonly graph: Graph;
      readonly variables: readonly Slot[];
      readonly updated: readonly Slot[];
    },
  ) {
    this.#model = model;
    this.#graph = graph;
    this.#variables = variables;
    this.#updated = updated;
    for (const slot of updated) slot.spare ??= this.#fresh(slot.type);
    const fed = inputsOf(graph, "placeholder").map((node) => this.#fresh(node.outputs[0]!));
    const results = graph.outputs.map((blob) => (isSmall(blob) ? this.#fresh(blob) : undefined));
    const checks = graph.checks.map((check) => this.#fresh(check.blob));
    this.#large = results.flatMap((value, i) => (value === undefined ? [i] : []));
    this.feeds = fed.map(({ tensor }) => tensor);
    this.#inputs = [...fed, ...variables.map(({ current }) => current)];
    this.#outputs = [...results.map((value) => value!), ...updated.map(({ spare }) => spare!), ...checks];
    this.#kept = [...fed, ...results.filter((value) => value !== undefined), ...checks];
  }

  run(): readonly Tensor[] {
    const { outputs, checks } = this.#graph;
    const variables = this.#variables;
    const updated = this.#updated;
    for (let i = 0; i < variables.length; i++) this.#inputs[this.feeds.length + i] = variables[i]!.current;
    for (let i = 0; i < updated.length; i++) this.#outputs[outputs.length + i] = updated[i]!.spare!;
    for (const i of this.#large) this.#outputs[i] = this.#fresh(outputs[i]!);
    try {
      this.#model.runNow(this.#inputs, this.#outputs);
      for (let i = 0; i < checks.length; i++)
        assertCheck(checks[i]!, this.#outputs[outputs.length + updated.length + i]!.tensor);
    } finally {
      for (const i of this.#large) this.#outputs[i]!.release();
    }
    for (const slot of updated) [slot.current, slot.spare] = [slot.spare!, slot.current];
    return outputs.map((blob, i) => {
      const { tensor } = this.#outputs[i]!;
      return isSmall(blob) ? { ...tensor, data: tensor.data.slice() } : tensor;
    });
  }

  release(): void {
    for (const value of this.#kept) value.release();
  }

  #fresh({ dtype, shape }: BlobType): Value {
    return this.runtime.value(zeros(dtype, shape));
  }
}

const isSmall = ({ shape }: BlobType): boolean => sizeOf(shape) <= copiedUpTo;
