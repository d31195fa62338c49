import { FlowError } from "../core/errors.js";
import type { Engine, NativeJob } from "../engines/engine.js";
import type { Graph, Node } from "../graph/graph.js";
import { inputsOf } from "../graph/graph.js";
import { rewrite } from "../graph/rewrite.js";
import { building, currentBuilder, type TraceContext } from "../graph/trace.js";
import { findOp } from "../ops/index.js";
import { observe } from "../ops/structure.js";
import { applyOptimizer, type TrainPhase } from "../optim/apply.js";
import { mapObjective } from "../optim/optimizer.js";
import { trainingValuesOf } from "../optim/training-values.js";
import { dce } from "../passes/dce.js";
import { decompose } from "../passes/decompose.js";
import { computeHalvesInFloat32 } from "../passes/half-precision.js";
import { simplify } from "../passes/simplify.js";
import { type VariableSpec, withVariables } from "../variables/registry.js";
import { inspect } from "./debug.js";
import { addNumericChecks } from "./numerics.js";
import type { TracedJob, TracedWatch } from "./trace-job.js";

/** One native graph and how the host part feeds it. */
export interface CompiledPhase {
  readonly native: NativeJob;
  /** Names of the native graph's placeholders, in order: arguments and outputs of host nodes. */
  readonly feeds: readonly string[];
  /** Names of the variables the native graph reads. */
  readonly reads: readonly string[];
}

/** A job ready for an engine. */
export interface CompiledJob {
  /** What each call runs; with accumulated gradients, what the last call of an update runs. */
  readonly whole: CompiledPhase;
  /** With accumulated gradients: what the other calls run, and how many calls make an update. */
  readonly gather: { readonly phase: CompiledPhase; readonly calls: number } | undefined;
  /** Nodes the job computes before each native run, inputs first. */
  readonly hostNodes: readonly Node[];
  /** Who gets the outputs behind the job's own, in their order. */
  readonly watches: readonly TracedWatch[];
  /** Every variable of the job, with slots and counters. */
  readonly variables: readonly VariableSpec[];
}

export interface CompileOptions {
  readonly checkNumerics: boolean;
  /** Tells apart native jobs made of one declaration: the shapes of a dynamic one. */
  readonly variant: string;
}

/** Trace to native graphs: gradients, optimizer, passes, the engine's legal ops, host nodes split off. */
export function compile(
  traced: Pick<TracedJob, "builder" | "objective" | "watches" | "variables">,
  engine: Pick<Engine, "name" | "lowers">,
  options: CompileOptions,
): CompiledJob {
  const { builder, objective, watches } = traced;
  inspect(builder.finish(), builder.job, "trace");
  const start = decompose(builder.finish(), builder.context, (op) => op.grad === undefined);
  const variables = new Map<string, VariableSpec>();
  const hostNodes = new Map<string, Node>();
  const received = watches.filter(({ of }) => of === "value");

  const phase = (train: TrainPhase | undefined): CompiledPhase => {
    const fork = builder.fork(start.graph);
    const own = traced.variables.fork(fork);
    if (objective !== undefined && train !== undefined) {
      const differences = watches.filter(({ of }) => of === "gradient");
      const gradients = building(fork, () =>
        withVariables(own, () =>
          applyOptimizer(mapObjective(objective, start.map), own, {
            phase: train,
            watched: differences.map(({ blob }) => start.map(blob)),
            asked: trainingValuesOf(builder),
          }),
        ),
      );
      const found = differences.filter((_, i) => gradients[i] !== null);
      const known = gradients.filter((gradient) => gradient !== null);
      fork.outputs.push(...building(fork, () => known.map(observe)));
      if (train !== "gather") received.push(...found);
      inspect(fork.finish(), builder.job, "gradients and optimizer");
    }
    if (options.checkNumerics) building(fork, addNumericChecks);
    for (const spec of own.specs()) variables.set(spec.name, spec);
    const name = `${builder.job}${options.variant}${train === "gather" ? " gather" : ""}`;
    const { graph, hostNodes: nodes } = lowered(fork.finish(), fork.context, engine, name);
    for (const node of nodes) hostNodes.set(hostFeed(node, 0), node);
    return {
      native: { name, graph, context: fork.context },
      feeds: inputsOf(graph, "placeholder").map((node) => String(node.attrs.name)),
      reads: inputsOf(graph, "variable").map((node) => String(node.attrs.name)),
    };
  };

  const calls = objective?.accumulate ?? 1;
  const whole = phase(objective === undefined ? undefined : calls > 1 ? "gather and update" : "update");
  const gather = calls > 1 ? { phase: phase("gather"), calls } : undefined;
  return {
    whole,
    gather,
    hostNodes: [...hostNodes.values()],
    watches: received,
    variables: [...variables.values()],
  };
}

/** The passes, and the host's part split off. */
function lowered(
  graph: Graph,
  context: TraceContext,
  engine: Pick<Engine, "name" | "lowers">,
  name: string,
): ReturnType<typeof splitHost> {
  const simple = simplify(dce(graph), context);
  inspect(simple, name, "simplify");
  const wide = computeHalvesInFloat32(simple, context);
  const legal = simplify(decompose(wide, context, (_, node) => !engine.lowers(node)).graph, context);
  inspect(legal, name, `legalize for ${engine.name}`);
  const split = splitHost(legal, context);
  inspect(split.graph, name, "host split");
  return split;
}

/** Name of the placeholder that carries output `index` of a host node into the native graph. */
export const hostFeed = (node: Node, index: number): string => `host ${node.name ?? node.op}:${index}`;

function splitHost(
  graph: Graph,
  context: TraceContext,
): { readonly graph: Graph; readonly hostNodes: readonly Node[] } {
  const isHost = (node: Node): boolean => findOp(node.op)?.kind === "host";
  const hostNodes = graph.nodes.filter(isHost);
  if (hostNodes.length === 0) return { graph, hostNodes };
  for (const node of hostNodes) {
    const native = node.inputs.find((input) => input.node.op !== "placeholder" && !isHost(input.node));
    if (native !== undefined) {
      throw new FlowError(
        "E_HOST",
        `job '${context.job}': host op ${node.op} '${node.name}' depends on '${native.opName}', which the engine computes; host ops run before it and may use arguments and other host ops only`,
      );
    }
  }
  const native = rewrite(graph, context, (node) => {
    if (!isHost(node)) return undefined;
    return node.outputs.map(({ dtype, shape }, i) =>
      currentBuilder("host split").input("placeholder", { name: hostFeed(node, i), dtype, shape }),
    );
  });
  return { graph: dce(native.graph), hostNodes };
}
