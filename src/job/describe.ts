import { sizeOf } from "../core/shape.js";
import type { Blob } from "../graph/blob.js";
import { bytesOfType, flopOf, peakActivationBytes } from "../ops/cost.js";
import { dce } from "../passes/dce.js";
import { fromCallSite } from "./call-site.js";
import { declarationOf, type Job } from "./global-function.js";
import { textOf } from "./placeholder.js";
import { columns, count, shortened } from "./table.js";

/** A variable of a job, and what the forward pass does with it. */
export interface DescribedVariable {
  /** Its name. */
  readonly name: string;
  /** Element type. */
  readonly dtype: string;
  /** Length of each axis. */
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly parameters: number;
  /** Whether the job's optimizer updates it. */
  readonly trained: boolean;
  /** Floating-point operations of the forward ops that read it, for one call. */
  readonly flop: number;
}

/** What a job is, known before its first step. Printed, it is a table of 80 columns. */
export interface Description {
  /** Name of the job. */
  readonly job: string;
  /** Whether it trains. */
  readonly type: "train" | "predict";
  /** `float32[100,784]` of each argument; `?` where calls decide. */
  readonly arguments: readonly string[];
  /** The model's variables, in the order their names sort in checkpoints. */
  readonly variables: readonly DescribedVariable[];
  /** Elements of all the model's variables, and of those that are trained. */
  readonly parameters: { readonly total: number; readonly trained: number };
  /** Floating-point operations of one call: the forward pass, and everything (with gradients and update). */
  readonly flop: { readonly forward: number; readonly call: number };
  /**
   * Bytes: the model's variables; slots and counters of the optimizer; the second buffers that updates are written to; the
   * most that intermediate values need at once, by the order of the graph; one call's feeds.
   */
  readonly memory: {
    readonly variables: number;
    readonly optimizer: number;
    readonly spare: number;
    readonly activations: number;
    readonly feeds: number;
    readonly total: number;
  };
  /** The table. */
  toString(): string;
}

/**
 * Variables, shapes, parameters, arithmetic and memory of a job, without running it: `console.log(await
 * flow.describe(job))`. A dynamic job is described for the shapes it was compiled for last, or for a batch of 2. FLOP
 * count a multiply and an add as 2; memory is what the graph needs, engines may take more.
 * @example
 * ```ts
 * const job = flow.globalFunction({ name: "small" }, [tp.Numpy.Placeholder([10, 3])], (x) =>
 *   flow.layers.dense(x, 2, { name: "out" }),
 * );
 * const description = await flow.describe(job);
 * description.arguments; // -> ["float32[10,3]"]
 * description.parameters.total; // -> 8
 * console.log(String(description).includes("out-weight")); // -> true
 * ```
 */
export function describe<F extends readonly unknown[], T>(job: Job<F, T>): Promise<Description> {
  return fromCallSite(describe, async () => {
    const { session, declaration } = declarationOf("describe", job);
    return await session.enqueue(`describe: job '${declaration.name}'`, async () => {
      const { traced, compiled } = session.job(declaration.name).latest;
      const forward = dce({ ...traced.builder.finish(), updates: new Map() });
      const losses = traced.objective?.losses ?? [];
      const graph = dce({ ...traced.builder.finish(), outputs: [...forward.outputs, ...losses], updates: new Map() });
      const native = compiled.whole.native.graph;
      const trained = new Set(native.updates.keys());
      const own = [...traced.variables.all.values()].map(({ spec, trainable }) => ({
        name: spec.name,
        dtype: spec.dtype,
        shape: spec.shape,
        parameters: sizeOf(spec.shape),
        trained: trainable && trained.has(spec.name),
        flop: flopReading(spec.name, graph.nodes),
      }));
      const variables = own.sort((a, b) => (a.name < b.name ? -1 : 1));
      const model = new Set(variables.map(({ name }) => name));
      const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);
      const memory = {
        variables: sum(compiled.variables.filter(({ name }) => model.has(name)).map(bytesOfType)),
        optimizer: sum(compiled.variables.filter(({ name }) => !model.has(name)).map(bytesOfType)),
        spare: sum([...native.updates.values()].map(bytesOfType)),
        activations: peakActivationBytes(native),
        feeds: sum(
          native.nodes.filter(({ op }) => op === "placeholder").map(({ outputs }) => bytesOfType(outputs[0]!)),
        ),
      };
      const description = {
        job: declaration.name,
        type: declaration.type,
        arguments: declaration.placeholders.map(textOf),
        variables,
        parameters: {
          total: sum(variables.map(({ parameters }) => parameters)),
          trained: sum(variables.filter((v) => v.trained).map(({ parameters }) => parameters)),
        },
        flop: { forward: sum(graph.nodes.map(flopOf)), call: sum(native.nodes.map(flopOf)) },
        memory: { ...memory, total: sum(Object.values(memory)) },
      };
      const text = (): string => table(description);
      return Object.freeze(
        Object.defineProperties(description, {
          toString: { value: text },
          [Symbol.for("nodejs.util.inspect.custom")]: { value: text },
        }),
      );
    });
  });
}

/** The arithmetic of the nodes that read a variable, directly or through what only moves it. */
function flopReading(name: string, nodes: readonly Blob["node"][]): number {
  const views = new Set<Blob>();
  let flop = 0;
  for (const node of nodes) {
    if (node.op === "variable" && node.attrs.name === name) views.add(node.outputs[0]!);
    if (!node.inputs.some((input) => views.has(input))) continue;
    const cost = flopOf(node);
    if (cost === 0) for (const output of node.outputs) views.add(output);
    flop += cost;
  }
  return flop;
}

function table({ job, type, variables, parameters, flop, memory, ...rest }: Omit<Description, "toString">): string {
  const rows = variables.map((v) => [
    v.name,
    `${v.dtype === "float32" ? "" : v.dtype}[${v.shape.join(",")}]`,
    v.parameters.toLocaleString("en-US"),
    v.flop === 0 ? "" : count(v.flop),
    type === "predict" ? "" : v.trained ? "yes" : "no",
  ]);
  const bytes = (value: number): string => count(value, "B");
  return [
    shortened(`${type} job '${job}' (${rest.arguments.join(", ")})`, 80),
    "",
    ...columns(
      ["variable", "shape", "parameters", "FLOP", ...(type === "train" ? ["trained"] : [])],
      rows,
      "llrrl",
      80,
    ),
    "",
    `${parameters.total.toLocaleString("en-US")} parameters${type === "train" ? `, ${parameters.trained.toLocaleString("en-US")} trained` : ""}`,
    `FLOP of a call: ${count(flop.call)}${type === "train" ? `, of them forward ${count(flop.forward)}` : ""}`,
    `memory: ${bytes(memory.total)} = variables ${bytes(memory.variables)} + optimizer ${bytes(memory.optimizer)} + spare ${bytes(memory.spare)}`,
    `  + activations ${bytes(memory.activations)} + feeds ${bytes(memory.feeds)}`,
  ].join("\n");
}
