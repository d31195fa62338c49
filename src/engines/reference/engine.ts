import { bug } from "../../core/errors.js";
import { sizeOf } from "../../core/shape.js";
import { type Tensor, zeros } from "../../core/tensor.js";
import type { Blob } from "../../graph/blob.js";
import { inputsOf } from "../../graph/graph.js";
import { assertCheck, type Engine, type EngineSession, type NativeJob } from "../engine.js";
import { type Array64, toArray64, toTensor } from "./array.js";
import { type Row, table } from "./table.js";

/** Plain TypeScript in float64: slow and obvious, the definition that other engines are tested against. */
export const reference: Engine = {
  name: "reference",
  lowers: ({ op }) => Object.hasOwn(table, op),
  open: () => Promise.resolve(openSession()),
  report: () =>
    Promise.resolve({ library: "plain TypeScript, float64", where: "onestep", threads: 1, gpu: false, notes: [] }),
};

function openSession(): EngineSession {
  const jobs = new Map<string, NativeJob>();
  const values = new Map<string, Array64>();
  const variable = (name: string): Array64 => values.get(name) ?? fail(`variable '${name}' is unknown`);
  return {
    gpu: false,
    async extend(program) {
      for (const job of program.jobs) jobs.set(job.name, job);
      for (const [name, { dtype, shape }] of program.variables)
        if (!values.has(name)) values.set(name, { dtype, shape, data: new Float64Array(sizeOf(shape)) });
    },
    async run(name, feeds) {
      const { graph } = jobs.get(name) ?? fail(`job '${name}' is unknown`);
      const placeholders = inputsOf(graph, "placeholder");
      const results = new Map<Blob, Array64>();
      const of = (blob: Blob): Array64 => results.get(blob) ?? fail(`${String(blob)} has no value`);
      let started = performance.now();
      for (const node of graph.nodes) {
        if (node.op === "placeholder") results.set(node.outputs[0]!, toArray64(feeds[placeholders.indexOf(node)]!));
        else if (node.op === "variable") results.set(node.outputs[0]!, variable(String(node.attrs.name)));
        else {
          const row =
            (table as Readonly<Record<string, Row<never> | undefined>>)[node.op] ?? fail(`op '${node.op}' has no row`);
          const data = row(node.inputs.map(of), node.attrs as never, node.outputs);
          const arrays = data instanceof Float64Array ? [data] : data;
          for (const [i, { dtype, shape }] of node.outputs.entries())
            results.set(node.outputs[i]!, { dtype, shape, data: arrays[i]! });
          if (performance.now() - started > 5) {
            await new Promise((resolve) => setImmediate(resolve));
            started = performance.now();
          }
        }
      }
      for (const check of graph.checks) assertCheck(check, toTensor(of(check.blob)));
      const outputs = graph.outputs.map((output) => toTensor(of(output)));
      // Kept as their dtype stores them, so that a resumed run equals one that never stopped.
      for (const [variable, value] of [...graph.updates].map(
        ([v, blob]) => [v, toArray64(toTensor(of(blob)))] as const,
      ))
        values.set(variable, value);
      return outputs;
    },
    drop: (name) => {
      jobs.delete(name);
      return Promise.resolve();
    },
    read: (name) => Promise.resolve(toTensor(variable(name))),
    view: (name) => Promise.resolve(toTensor(variable(name))),
    stage() {
      const staged = new Map<string, Tensor>();
      return {
        tensor(name) {
          const { dtype, shape } = variable(name);
          const tensor = staged.get(name) ?? zeros(dtype, shape);
          staged.set(name, tensor);
          return tensor;
        },
        commit() {
          for (const [name, tensor] of staged) values.set(name, toArray64(tensor));
          return Promise.resolve();
        },
        discard: () => staged.clear(),
      };
    },
    write: (name, value) => {
      values.set(name, toArray64(value));
      return Promise.resolve();
    },
    close: () => Promise.resolve(values.clear()),
  };
}

function fail(message: string): never {
  throw bug(`reference engine: ${message}`);
}
