import { sizeOf } from "../core/shape.js";
import type { Blob } from "../graph/blob.js";
import { type Node, rootsOf } from "../graph/graph.js";
import { type GraphBuilder, originOf } from "../graph/trace.js";
import { bytesOfType } from "../ops/cost.js";
import { findOp } from "../ops/index.js";
import { later } from "../ops/structure.js";

/**
 * What gradient rules see of the forward pass: its nodes, or copies of those that are computed again for them, which are computed
 * when a cotangent gets there.
 */
export interface Forward {
  /** The node, or what stands for it; `dy` is the first cotangent of its outputs. */
  of(node: Node, dy: Blob): Node;
}

/** The nodes themselves: everything is kept. */
export const asItWas: Forward = { of: (node) => node };

/** The forward pass of a job, as its regions and its setting say. */
export function forwardOf(builder: GraphBuilder): Forward {
  const regions = new Regions(builder);
  const others = builder.context.recompute === true ? new Segments(builder) : asItWas;
  return { of: (node, dy) => (node.region === undefined ? others : regions).of(node, dy) };
}

/** A node as people know it: its name, else what made it, else its op. */
export function labelOf(node: Node): string {
  return node.name !== undefined ? `${node.op} '${node.name}'` : (originOf(node) ?? node.op);
}

/** Whether a node's value is there before the native graph runs. */
const isGiven = ({ op }: Node): boolean => op === "placeholder" || op === "variable" || findOp(op)?.kind === "host";

/** Appends `node` again, with other inputs. */
function copyOf(builder: GraphBuilder, node: Node, inputs: readonly Blob[]): Node {
  builder.origin = `${labelOf(node)}, computed again`;
  builder.device = () => node.device;
  return builder.append(node.op, inputs, node.attrs, node.outputs, undefined)[0]!.node;
}

/** The regions of `scope.recompute`: what comes in and what leaves is kept. */
class Regions implements Forward {
  readonly #regions = new Map<number, Node[]>();
  readonly #copies = new Map<Node, Node>();

  constructor(readonly builder: GraphBuilder) {
    for (const node of builder.nodes) {
      if (node.region === undefined || isGiven(node)) continue;
      const known = this.#regions.get(node.region);
      if (known === undefined) this.#regions.set(node.region, [node]);
      else known.push(node);
    }
  }

  of(node: Node, dy: Blob): Node {
    if (isGiven(node)) return node;
    if (!this.#copies.has(node)) this.#copy(this.#regions.get(node.region!)!, dy);
    return this.#copies.get(node)!;
  }

  #copy(region: readonly Node[], dy: Blob): void {
    const moved = new Map<Blob, Blob>();
    const inputOf = (blob: Blob): Blob => {
      const known = moved.get(blob) ?? later(blob, dy);
      moved.set(blob, known);
      return known;
    };
    for (const node of region) {
      const copy = copyOf(this.builder, node, node.inputs.map(inputOf));
      this.#copies.set(node, copy);
      for (const [i, output] of node.outputs.entries()) moved.set(output, copy.outputs[i]!);
    }
  }
}

/** Elements below which a value is kept: it costs less than the nodes that make it again. */
const small = 4096;

/**
 * All nodes of one pass, `config.recompute`: it is cut into segments, the values that cross a cut are kept, and all others are computed
 * again from them when the first cotangent gets to their segment. The last segment is kept, since its gradients come first.
 */
class Segments implements Forward {
  readonly #kept: ReadonlySet<Node>;
  readonly #copies = new Map<Node, Node>();
  readonly #later = new Map<Blob, Blob>();

  constructor(readonly builder: GraphBuilder) {
    this.#kept = keptBetween(builder.nodes, new Set(rootsOf(builder).map(({ node }) => node)));
  }

  of(node: Node, dy: Blob): Node {
    if (!this.#kept.has(node)) return this.#copy(node, dy);
    const inputs = node.inputs.map((input) => this.#again(input, dy));
    return inputs.every((input, i) => input === node.inputs[i]) ? node : { ...node, inputs };
  }

  /** A value, computed again where it is not kept. */
  #again(blob: Blob, dy: Blob): Blob {
    return this.#kept.has(blob.node) ? blob : this.#copy(blob.node, dy).outputs[blob.index]!;
  }

  #copy(node: Node, dy: Blob): Node {
    const known = this.#copies.get(node);
    if (known !== undefined) return known;
    const inputs = node.inputs.map((input) => {
      const again = this.#again(input, dy);
      // A small value is there anyway; the copy waits for the others.
      return again === input && sizeOf(input.shape) >= small ? this.#waiting(input, dy) : again;
    });
    const copy = copyOf(this.builder, node, inputs);
    this.#copies.set(node, copy);
    return copy;
  }

  #waiting(blob: Blob, dy: Blob): Blob {
    const known = this.#later.get(blob) ?? later(blob, dy);
    this.#later.set(blob, known);
    return known;
  }
}

/** What is kept of a pass: small values, what the job needs anyway, and what crosses the cuts that need the least memory. */
function keptBetween(nodes: readonly Node[], leaving: ReadonlySet<Node>): ReadonlySet<Node> {
  const bytes = (node: Node): number =>
    isGiven(node) ? 0 : node.outputs.reduce((sum, output) => sum + bytesOfType(output), 0);
  const always = (node: Node): boolean =>
    isGiven(node) ||
    leaving.has(node) ||
    node.region !== undefined ||
    node.outputs.every(({ shape }) => sizeOf(shape) < small);
  const position = new Map(nodes.map((node, i) => [node, i] as const));
  const lastUse = nodes.map((_, i) => i);
  for (const [i, { inputs }] of nodes.entries()) for (const { node } of inputs) lastUse[position.get(node)!] = i;

  // Of each place: the bytes made until then, and those that are used after it.
  const made: number[] = [];
  const crossing: number[] = [];
  const ending = nodes.map(() => 0);
  let total = 0;
  let live = 0;
  for (const [i, node] of nodes.entries()) {
    const own = always(node) ? 0 : bytes(node);
    total += own;
    live += own;
    ending[lastUse[i]!]! += own;
    live -= ending[i]!;
    made.push(total);
    crossing.push(live);
  }

  let best: { readonly cuts: readonly number[]; readonly cost: number } = { cuts: [], cost: total };
  for (let segments = 2; segments <= mostSegments; segments++) {
    const cuts = cutsOf(made, crossing, segments);
    const ends = [...cuts.map((cut) => made[cut]!), total];
    const largest = Math.max(...ends.map((end, i) => end - (ends[i - 1] ?? 0)));
    const cost = largest + cuts.reduce((sum, cut) => sum + crossing[cut]!, 0);
    if (cost < best.cost) best = { cuts, cost };
  }
  const last = best.cuts.at(-1) ?? -1;
  return new Set(
    nodes.filter((node, i) => i > last || always(node) || best.cuts.some((cut) => i <= cut && lastUse[i]! > cut)),
  );
}

const mostSegments = 64;

/** Places that part the bytes made into segments of about one size, each the one near there that the fewest bytes cross. */
function cutsOf(made: readonly number[], crossing: readonly number[], segments: number): readonly number[] {
  const size = made.at(-1)! / segments;
  const cuts: number[] = [];
  let at = 0;
  for (let segment = 1; segment < segments; segment++) {
    const [from, to] = [(segment - 1 / 3) * size, (segment + 1 / 3) * size];
    let best: number | undefined;
    for (; at < made.length && made[at]! < to; at++)
      if (made[at]! >= from && (best === undefined || crossing[at]! < crossing[best]!)) best = at;
    if (best !== undefined) cuts.push(best);
  }
  return cuts;
}
