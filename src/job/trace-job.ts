import { FlowError } from "../core/errors.js";
import type { Shape } from "../core/shape.js";
import type { NdArray } from "../core/tensor.js";
import type { Blob } from "../graph/blob.js";
import { building, GraphBuilder, synchronous } from "../graph/trace.js";
import { operators } from "../ops/operators.js";
import { observe } from "../ops/structure.js";
import { addedLosses } from "../optim/losses.js";
import { type Objective, objectiveOf } from "../optim/optimizer.js";
import { JobVariables, type VariableRegistry, withVariables } from "../variables/registry.js";
import type { JobSettings } from "./function-config.js";
import type { Argument, Placeholder } from "./placeholder.js";
import { cutting, flattenReturns, type Rebuild } from "./returns.js";
import { openScopes } from "./scope.js";
import type { Returns } from "./typing.js";
import { type Watch, watchesOf } from "./watch.js";

/** A job as it was declared. */
export interface Declaration {
  readonly name: string;
  readonly type: "train" | "predict";
  readonly returns: Returns | undefined;
  readonly args: readonly Argument[];
  /** Those of `args`, in order. */
  readonly placeholders: readonly Placeholder[];
  readonly settings: JobSettings;
  readonly fn: (...blobs: unknown[]) => unknown;
  readonly site: string;
}

/** A watch, and how its value is cut to what counts of it, given the values of the job's own outputs. */
export interface TracedWatch extends Watch {
  readonly cut: (value: NdArray, values: readonly NdArray[]) => NdArray;
}

/** A job whose function has run. The builder's outputs are the job's own, then the watched values. */
export interface TracedJob {
  readonly declaration: Declaration;
  readonly builder: GraphBuilder;
  readonly variables: JobVariables;
  readonly objective: Objective | undefined;
  readonly rebuild: Rebuild;
  readonly watches: readonly TracedWatch[];
}

/** Runs the job's function once on blobs of these shapes, one for each placeholder. */
export function traceJob(
  declaration: Declaration,
  shapes: readonly Shape[],
  registry: VariableRegistry,
  recompute = false,
): TracedJob {
  const { name, type, fn, args, placeholders, returns, settings } = declaration;
  const builder = new GraphBuilder({ job: name, training: type === "train", recompute, operators });
  const variables = new JobVariables(registry, builder, settings);
  openScopes(builder, settings);
  builder.naming = true;
  const outputs: Blob[] = [];
  const rebuild = building(builder, () =>
    withVariables(variables, () => {
      const blobs = placeholders.map(({ dtype }, i) =>
        builder.input("placeholder", { name: argumentName(i), dtype, shape: shapes[i]! }),
      );
      const value = synchronous(`job '${name}'`, fn(...nested(args, blobs)));
      const losses = addedLosses(builder);
      if (losses.length > 0 && objectiveOf(builder) === undefined) settings.optimizer?.minimize(losses);
      return flattenReturns(name, value, returns, outputs);
    }),
  );
  builder.naming = false;
  const watches = watchesOf(builder).map((watch) => ({
    ...watch,
    cut: watch.of === "value" ? cutting(watch.blob, outputs) : asItIs,
  }));
  const values = watches.flatMap(({ of, blob }) => (of === "value" ? [blob] : []));
  builder.outputs.push(
    ...outputs,
    ...building(builder, () => values.map((v) => (v.node.op === "placeholder" ? v : observe(v)))),
  );
  const found = objectiveOf(builder);
  const objective = found && { ...found, indexedSlices: settings.indexedSlices ?? [] };
  if (type === "train" && objective === undefined) {
    throw new FlowError(
      "E_OPTIMIZER",
      `job '${name}' (${declaration.site}): a train job needs an optimizer; call new flow.optimizer.SGD(...).minimize(loss) in it, or declare { type: "predict" }`,
    );
  }
  return { declaration, builder, variables, objective, rebuild, watches };
}

const asItIs = (value: NdArray): NdArray => value;

/** The blobs of the placeholders, in tuples where the arguments are. */
function nested(args: readonly Argument[], blobs: readonly Blob[]): readonly unknown[] {
  let next = 0;
  return args.map((arg) => ("form" in arg ? blobs[next++] : arg.map(() => blobs[next++])));
}

/** The placeholder of the flattened argument `index`. */
export const argumentName = (index: number): string => `argument ${index}`;
