import { FlowError } from "../core/errors.js";
import type { Engine, NativeJob } from "../engines/engine.js";
import type { Graph, Node } from "../graph/graph.js";
import { inputsOf } from "../graph/graph.js";
import { rewrite } from "../graph/rewrite.js";
import { building, currentBuilder, type TraceContext } from "../graph/trace.js";
import { findOp } from "../ops/index.js";
import { applyOptimizer } from "../optim/apply.js";
import { dce } from "../passes/dce.js";
import { decompose } from "../passes/decompose.js";
import { simplify } from "../passes/simplify.js";
import { withVariables } from "../variables/registry.js";
import { inspect } from "./debug.js";
import type { TracedJob } from "./trace-job.js";

/** A job ready for an engine: the host part, the native part, and how the first feeds the second. */
export interface CompiledJob {
  readonly native: NativeJob;
  /** Nodes the job computes before each native run, inputs first. */
  readonly hostNodes: readonly Node[];
  /** Names of the native graph's placeholders, in order: arguments and outputs of host nodes. */
  readonly feeds: readonly string[];
  /** Names of the variables the native graph reads. */
  readonly reads: readonly string[];
}

/** Trace to native graph: gradients, optimizer, passes, the engine's legal ops, host nodes split off. */
export function compile(
  { builder, variables, objective, declaration: { name } }: TracedJob,
  engine: Pick<Engine, "name" | "lowers">,
): CompiledJob {
  const { context } = builder;
  inspect(builder.finish(), name, "trace");
  const { graph: differentiable, map } = decompose(builder.finish(), context, (op) => op.grad === undefined);
  builder.adopt(differentiable);
  if (objective !== undefined) {
    building(builder, () =>
      withVariables(variables, () => applyOptimizer({ ...objective, losses: objective.losses.map(map) }, variables)),
    );
    inspect(builder.finish(), name, "gradients and optimizer");
  }
  const simple = simplify(dce(builder.finish()), context);
  inspect(simple, name, "simplify");
  const legal = simplify(decompose(simple, context, (_, node) => !engine.lowers(node)).graph, context);
  inspect(legal, name, `legalize for ${engine.name}`);
  const { graph, hostNodes } = splitHost(legal, context);
  inspect(graph, name, "host split");
  return {
    native: { name, graph, context },
    hostNodes,
    feeds: inputsOf(graph, "placeholder").map((node) => String(node.attrs.name)),
    reads: inputsOf(graph, "variable").map((node) => String(node.attrs.name)),
  };
}

/** Name of the placeholder that carries output `index` of a host node into the native graph. */
export const hostFeed = (node: Node, index: number): string => `host ${node.name ?? node.op}:${index}`;

function splitHost(
  graph: Graph,
  context: TraceContext,
): { readonly graph: Graph; readonly hostNodes: readonly Node[] } {
  const isHost = (node: Node): boolean => findOp(node.op)?.kind === "host";
  const hostNodes = graph.nodes.filter(isHost);
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
