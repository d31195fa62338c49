import type { DType } from "../core/dtype.js";
import type { Shape } from "../core/shape.js";
import type { Blob, BlobType } from "./blob.js";

/** Plain data of an op: numbers, strings, booleans and arrays of them. */
export type Attrs = Readonly<Record<string, number | string | boolean | readonly number[] | readonly string[]>>;

/** One operation of a graph; frozen. `placeholder` and `variable` nodes are the graph's inputs. */
export interface Node {
  readonly op: string;
  readonly inputs: readonly Blob[];
  readonly attrs: Attrs;
  readonly outputs: readonly Blob[];
  /** The name the user gave or the automatic one; absent on nodes that gradients and passes made. */
  readonly name: string | undefined;
  /** Where the user placed it, `cpu` or `gpu:0`; absent where nothing was said. Gradients and rewrites stay where their op is. */
  readonly device?: string;
  /** The region of `scope.recompute` that it is in: a number of its job; absent outside of them. */
  readonly region?: number;
}

/** A hidden output tested before a step is committed: every element must lie in [low, high]. */
export interface Check {
  readonly blob: Blob;
  readonly low: number;
  readonly high: number;
  /** Begins the message: `sparseSoftmaxCrossEntropyWithLogits 'loss': label`. */
  readonly what: string;
  readonly code: "E_ARGUMENT" | "E_INDEX" | "E_LABEL" | "E_NUMERICS";
  /** The message in place of one made of `what`, the value and the range. */
  readonly message?: string;
}

/** A job as data: nodes in an order where inputs come first, and what leaves it. */
export interface Graph {
  readonly nodes: readonly Node[];
  readonly outputs: readonly Blob[];
  /** Next values of variables, by name: the only way a variable changes. */
  readonly updates: ReadonlyMap<string, Blob>;
  readonly checks: readonly Check[];
}

/** Attributes of `placeholder` (a value fed at each call) and `variable` nodes. */
export type InputAttrs = { readonly name: string; readonly dtype: DType; readonly shape: Shape };

/** The graph's placeholders or variables, in the order of first use. */
export function inputsOf(graph: Graph, op: "placeholder" | "variable"): readonly Node[] {
  return graph.nodes.filter((node) => node.op === op);
}

/** Every blob that must survive: outputs, updates, checks. */
export function rootsOf(graph: Graph): readonly Blob[] {
  return [...graph.outputs, ...graph.updates.values(), ...graph.checks.map((check) => check.blob)];
}

/** How often each blob is used by nodes and roots; what only looks on (`observe`) does not count. */
export function usesOf(graph: Graph): ReadonlyMap<Blob, number> {
  const counts = new Map<Blob, number>();
  const count = (blob: Blob): void => void counts.set(blob, (counts.get(blob) ?? 0) + 1);
  for (const node of graph.nodes) if (node.op !== "observe") node.inputs.forEach(count);
  rootsOf(graph).forEach(count);
  return counts;
}

/** The same roots under a mapping of blobs. */
export function mapRoots(graph: Graph, nodes: readonly Node[], map: (blob: Blob) => Blob): Graph {
  return {
    nodes,
    outputs: graph.outputs.map(map),
    updates: new Map([...graph.updates].map(([name, blob]) => [name, map(blob)])),
    checks: graph.checks.map((check) => ({ ...check, blob: map(check.blob) })),
  };
}

export type { BlobType };
