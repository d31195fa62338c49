import { bug, FlowError } from "../core/errors.js";
import { type Shape, sameShape } from "../core/shape.js";
import type { Blob } from "../graph/blob.js";
import type { Attrs, Node } from "../graph/graph.js";
import { currentBuilder, emit, type GraphBuilder, textOf } from "../graph/trace.js";
import type { GradContext, Op } from "../ops/define.js";
import { add } from "../ops/elementwise.js";
import { findOp } from "../ops/index.js";
import { reduceSum } from "../ops/reduce.js";
import { constantOp } from "../ops/sources.js";
import { reshape } from "../ops/structure.js";
import { asItWas, type Forward, forwardOf, labelOf } from "./recompute.js";

/**
 * Appends the gradients of `sum(ys)` with respect to each of `xs` to the current graph: reverse-mode differentiation
 * with cotangents of ones (or `seeds`). Null where no path leads from x to a y. Each op's rule is a line of calculus;
 * summing fan-out, reducing broadcast shapes and checking types happen here. An op that only has a decomposition is
 * differentiated through it.
 */
export function backpropagate(
  ys: readonly Blob[],
  xs: readonly Blob[],
  seeds?: readonly Blob[],
): readonly (Blob | null)[] {
  const builder = currentBuilder("gradients");
  const { naming, origin, device, region } = builder;
  builder.naming = false;
  builder.region = () => undefined;
  try {
    return propagate(builder, forwardOf(builder), ys, xs, seeds);
  } finally {
    builder.naming = naming;
    builder.origin = origin;
    builder.device = device;
    builder.region = region;
  }
}

function propagate(
  builder: GraphBuilder,
  forward: Forward,
  ys: readonly Blob[],
  xs: readonly Blob[],
  seeds: readonly Blob[] | undefined,
): readonly (Blob | null)[] {
  const nodes = [...builder.nodes];
  const reached = dependents(nodes, xs);
  const cotangents = new Map<Blob, Blob>();
  const accumulate = (blob: Blob, part: Blob): void => {
    const sum = cotangents.get(blob);
    cotangents.set(blob, sum === undefined ? part : add(sum, part));
  };
  for (const [i, y] of ys.entries()) {
    accumulate(y, seeds?.[i] ?? emit(constantOp, [], { value: 1, dtype: y.dtype, shape: y.shape }));
  }

  for (const node of nodes.toReversed()) {
    const dys = node.outputs.map((output) => cotangents.get(output) ?? null);
    const inputs = node.inputs.map((input) => reached.has(input));
    if (dys.every((dy) => dy === null) || !inputs.includes(true)) continue;
    const op = findOp(node.op);
    if (op === undefined) throw bug(`gradients met '${node.op}'`);
    if (op.grad === "stop") continue;
    const seen = forward.of(node, dys.find((dy) => dy !== null)!);
    builder.origin = `the gradient of ${labelOf(node)}`;
    builder.device = () => node.device;
    const parts = op.grad === undefined ? throughParts(op, seen, dys) : op.grad(contextOf(seen, dys));
    if (parts === undefined) throw missingGradient(node, nodes, xs, ys, reached);
    for (const [i, input] of node.inputs.entries()) {
      const part = parts[i];
      if (part === undefined) throw bug(`gradient of ${node.op} has no entry for input ${i}`);
      if (part === null || !inputs[i]) continue;
      if (part.dtype !== input.dtype)
        throw bug(`gradient of ${node.op} for input ${i} is ${textOf(part)}, the input is ${textOf(input)}`);
      accumulate(input, sumTo(part, input.shape, `gradient of ${node.op} for input ${i}`));
    }
  }
  return xs.map((x) => cotangents.get(x) ?? null);
}

const contextOf = (node: Node, dys: readonly (Blob | null)[]): GradContext<Attrs> => ({
  inputs: node.inputs,
  outputs: node.outputs,
  attrs: node.attrs,
  y: node.outputs[0]!,
  dy: dys[0]!,
  dys,
});

/** The cotangents of an op's inputs by the ops it stands for; undefined where it stands for none. */
function throughParts(
  op: Op<string, Attrs>,
  node: Node,
  dys: readonly (Blob | null)[],
): readonly (Blob | null)[] | undefined {
  if (op.decompose === undefined) return undefined;
  const outputs = op.decompose(node.inputs, node.attrs);
  const used = outputs.flatMap((output, i) => (dys[i] == null ? [] : [{ output, dy: dys[i] }]));
  return propagate(
    currentBuilder("gradients"),
    asItWas,
    used.map(({ output }) => output),
    node.inputs,
    used.map(({ dy }) => dy),
  );
}

/** Blobs whose value depends on one of `xs`. */
function dependents(nodes: readonly Node[], xs: readonly Blob[]): Set<Blob> {
  const reached = new Set(xs);
  for (const node of nodes) {
    if (node.inputs.some((input) => reached.has(input))) for (const output of node.outputs) reached.add(output);
  }
  return reached;
}

/** Sums a cotangent over the axes along which the forward op repeated the input. */
function sumTo(dy: Blob, shape: Shape, where: string): Blob {
  if (sameShape(dy.shape, shape)) return dy;
  const lead = dy.shape.length - shape.length;
  const axes = dy.shape.flatMap((d, axis) => (axis < lead || (shape[axis - lead] === 1 && d !== 1) ? [axis] : []));
  // Axes in front alone are summed away, which needs no reshape after.
  if (axes.length === lead && sameShape(dy.shape.slice(lead), shape)) return reduceSum(dy, { axis: axes });
  const summed = axes.length > 0 ? reduceSum(dy, { axis: axes, keepdims: true }) : dy;
  if (lead < 0 || !sameShape(summed.shape.slice(lead), shape))
    throw bug(`${where} is ${textOf(dy)}, the input has shape [${shape.join(",")}]`);
  return reshape(summed, shape);
}

function missingGradient(
  node: Node,
  nodes: readonly Node[],
  xs: readonly Blob[],
  ys: readonly Blob[],
  reached: ReadonlySet<Blob>,
): FlowError {
  const path = [labelOf(node)];
  for (
    let at: Blob | undefined = node.inputs.find((input) => reached.has(input));
    at !== undefined;
    at = at.node.inputs.find((input) => reached.has(input))
  ) {
    path.unshift(labelOf(at.node));
    if (xs.includes(at)) break;
  }
  const targets = new Set(ys.map((y) => y.node));
  const seen = new Set([node]);
  for (let at: Node | undefined = node; at !== undefined && !targets.has(at); ) {
    const outputs: readonly Blob[] = at.outputs;
    at = nodes.find(
      (n) => !seen.has(n) && n.inputs.some((input) => outputs.includes(input)) && leadsTo(n, targets, nodes),
    );
    if (at !== undefined) {
      seen.add(at);
      path.push(labelOf(at));
    }
  }
  return new FlowError(
    "E_GRADIENT",
    `gradients: op ${labelOf(node)} has no gradient and lies on the path ${path.join(" -> ")}; use another op there, or keep trainable variables out of its input`,
  );
}

function leadsTo(node: Node, targets: ReadonlySet<Node>, nodes: readonly Node[]): boolean {
  const reached = new Set<Node>([node]);
  for (const n of nodes) if (n.inputs.some((input) => reached.has(input.node))) reached.add(n);
  return [...targets].some((target) => reached.has(target));
}
