import { FlowError } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { building, GraphBuilder, synchronous } from "../graph/trace.js";
import { operators } from "../ops/operators.js";
import { type Objective, objectiveOf } from "../optim/optimizer.js";
import { JobVariables, type VariableRegistry, withVariables } from "../variables/registry.js";
import { flatten, type Placeholder, type Rebuild, type Returns } from "./typing.js";

/** A job as it was declared. */
export interface Declaration {
  readonly name: string;
  readonly type: "train" | "predict";
  readonly returns: Returns | undefined;
  readonly placeholders: readonly Placeholder[];
  readonly fn: (...blobs: Blob[]) => unknown;
  readonly site: string;
}

/** A job whose function has run. */
export interface TracedJob {
  readonly declaration: Declaration;
  readonly builder: GraphBuilder;
  readonly variables: JobVariables;
  readonly objective: Objective | undefined;
  readonly rebuild: Rebuild;
}

/** Runs the job's function once on blobs. */
export function traceJob(declaration: Declaration, registry: VariableRegistry): TracedJob {
  const { name, type, fn, placeholders, returns, site } = declaration;
  const builder = new GraphBuilder({ job: name, training: type === "train", operators });
  const variables = new JobVariables(registry, builder);
  builder.naming = true;
  const outputs: Blob[] = [];
  const rebuild = building(builder, () =>
    withVariables(variables, () => {
      const blobs = placeholders.map(({ dtype, shape }, i) =>
        builder.input("placeholder", { name: argumentName(i), dtype, shape }),
      );
      return flatten(name, synchronous(`job '${name}'`, fn(...blobs)), returns, outputs);
    }),
  );
  builder.naming = false;
  builder.outputs.push(...outputs);
  const objective = objectiveOf(builder);
  if (type === "train" && objective === undefined) {
    throw new FlowError(
      "E_OPTIMIZER",
      `job '${name}' (${site}): a train job needs an optimizer; call new flow.optimizer.SGD(...).minimize(loss) in it, or declare { type: "predict" }`,
    );
  }
  return { declaration, builder, variables, objective, rebuild };
}

/** The placeholder of argument `index`. */
export const argumentName = (index: number): string => `argument ${index}`;
