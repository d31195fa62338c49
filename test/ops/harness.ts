import { backpropagate } from "#src/autodiff/backpropagate.js";
import { type DType, isFloat } from "#src/core/dtype.js";
import { Rng, streamOf } from "#src/core/rng.js";
import { sizeOf } from "#src/core/shape.js";
import { type Tensor, zeros } from "#src/core/tensor.js";
import type { Engine, EngineSession } from "#src/engines/engine.js";
import type { Blob } from "#src/graph/blob.js";
import type { Graph } from "#src/graph/graph.js";
import { building, GraphBuilder } from "#src/graph/trace.js";
import { compile } from "#src/job/compile.js";
import { operators } from "#src/ops/operators.js";
import { JobVariables, VariableRegistry } from "#src/variables/registry.js";

/** Types of a graph's arguments. */
export type Types = readonly { readonly dtype: DType; readonly shape: readonly number[] }[];

/** The graph of a function of blobs; what it returns leaves the graph. */
export function graphOf(
  name: string,
  types: Types,
  fn: (...inputs: Blob[]) => readonly Blob[],
): { readonly builder: GraphBuilder; readonly graph: Graph } {
  const builder = new GraphBuilder({ job: name, training: false, operators });
  building(builder, () => {
    const inputs = types.map((type, i) => builder.input("placeholder", { name: `argument ${i}`, ...type }));
    builder.outputs.push(...fn(...inputs));
  });
  return { builder, graph: builder.finish() };
}

let count = 0;

/** Compiles a function for an engine, as a predict job is, and runs it. */
export async function evaluate(
  engine: Engine,
  session: EngineSession,
  inputs: readonly Tensor[],
  fn: (...inputs: Blob[]) => readonly Blob[],
): Promise<readonly Tensor[]> {
  const name = `job${count++}`;
  const { builder } = graphOf(name, inputs, fn);
  const variables = new JobVariables(new VariableRegistry(), builder);
  const traced = { builder, variables, objective: undefined, watches: [] };
  const { whole } = compile(traced, engine, { checkNumerics: false, variant: "" });
  await session.extend({ jobs: [whole.native], variables: new Map() });
  const outputs = await session.run(
    name,
    whole.feeds.map((feed) => inputs[Number(feed.slice("argument ".length))]!),
  );
  // An engine that keeps all jobs in one graph would load it larger with each row.
  await session.drop(name);
  return outputs;
}

/** `call` and the gradients of `sum(cotangent * call)`, the cotangent being the last input; gradients that do not exist are left out. */
export function withGradients(call: (...inputs: Blob[]) => Blob): (...inputs: Blob[]) => readonly Blob[] {
  return (...all) => {
    const inputs = all.slice(0, -1);
    const y = call(...inputs);
    return [y, ...backpropagate([y], inputs, [all.at(-1)!]).filter((g) => g !== null)];
  };
}

/** Random values of a row's input, in `dtype`. */
export function randomTensor(
  seed: string,
  dtype: DType,
  shape: readonly number[],
  [low, high]: readonly [number, number] = [-2, 2],
): Tensor {
  const rng = new Rng(streamOf(1, seed));
  const tensor = zeros(dtype, shape);
  for (let i = 0; i < sizeOf(shape); i++) {
    const value = isFloat(dtype) ? low + (high - low) * rng.uniform() : low + rng.integer(high - low + 1);
    if (dtype === "int64") (tensor.data as BigInt64Array)[i] = BigInt(value);
    else (tensor.data as Float64Array)[i] = value;
  }
  return tensor;
}

/** A tensor of given numbers. */
export function tensorOf(dtype: DType, shape: readonly number[], values: readonly number[]): Tensor {
  const tensor = zeros(dtype, shape);
  values.forEach((value, i) => {
    if (dtype === "int64") (tensor.data as BigInt64Array)[i] = BigInt(value);
    else (tensor.data as Float64Array)[i] = value;
  });
  return tensor;
}

export const numbers = (tensor: Tensor): number[] => Array.from(tensor.data as Float64Array, Number);
