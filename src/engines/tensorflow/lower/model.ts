import { isFloat } from "../../../core/dtype.js";
import { type Shape, sameShape, sizeOf } from "../../../core/shape.js";
import type { Blob, BlobType } from "../../../graph/blob.js";
import { type Check, type Graph, inputsOf, type Node, rootsOf } from "../../../graph/graph.js";
import { decode, type EdgeType, edgeTypes, encode } from "../edge.js";
import type { TensorFlowNode } from "../encode.js";
import { Lowering, shape, string, type } from "./context.js";
import { Values } from "./layout.js";

/** A placeholder of the graph. */
export interface Feed {
  readonly name: string;
  readonly type: EdgeType;
  readonly shape: Shape;
}

/** The part of the graph that holds one variable, and what to feed and fetch to reach it. */
export interface LoweredVariable {
  readonly nodes: readonly TensorFlowNode[];
  readonly handle: string;
  /** Fetched: its value. */
  readonly read: string;
  /** Fed a value ... */
  readonly value: Feed;
  /** ... and fetched: writes it. */
  readonly written: string;
  /** Fetched: writes zeros. */
  readonly zeroed: string;
}

/** The part of the graph that is one job, and what to feed and fetch to run it. */
export interface LoweredJob {
  readonly nodes: readonly TensorFlowNode[];
  readonly feeds: readonly Feed[];
  readonly outputs: readonly string[];
  /** Fetched: makes the updates, and is true where they were made, which is where no check failed. */
  readonly done: string;
  /** Fetched alone, they tell which check failed. */
  readonly checks: readonly string[];
}

/** A variable of the session: read and written alone. `id` is part of its names. */
export function lowerVariable(id: string, { dtype, shape: dims }: BlobType): LoweredVariable {
  const to = new Lowering(id);
  const attributes = { dtype: type(dtype), shape: shape(dims) };
  const handle = to.one("VarHandleOp", [], { ...attributes, shared_name: string(id), container: string("") });
  const read = encode(to, to.one("ReadVariableOp", [handle], { dtype: type(dtype) }), dtype);
  const value = placeholder(to, { dtype, shape: dims });
  const assign = (next: string): string => {
    const assigned = to.one("AssignVariableOp", [handle, next], { dtype: type(dtype) });
    return to.one("Identity", [to.scalar("bool", true)], { T: type("bool") }, { control: [assigned] });
  };
  const written = assign(own(to, decode(to, value.name, dtype), dtype));
  const zeroed = assign(to.one("Fill", [to.ints(dims), to.scalar(dtype, 0)], { T: type(dtype) }));
  return { nodes: to.nodes, handle, read, value, written, zeroed };
}

/** What carries a value of a dtype in. */
function placeholder(to: Lowering, { dtype, shape: dims }: BlobType): Feed {
  const edge = edgeTypes[dtype];
  return { name: to.one("Placeholder", [], { dtype: type(edge), shape: shape(dims) }), type: edge, shape: dims };
}

/** A copy: what is fed lies in memory that the next call feeds again, and a variable must not keep it. */
const own = (to: Lowering, x: string, dtype: BlobType["dtype"]): string => to.one("DeepCopy", [x], { T: type(dtype) });

/**
 * A job's part of the graph. Its updates wait for everything else it computes, so that a failed step makes none. With a `gpu` ops
 * are where the user placed them.
 */
export function lowerJob(
  id: string,
  graph: Graph,
  handleOf: (variable: string) => string,
  { gpu = false }: { readonly gpu?: boolean } = {},
): LoweredJob {
  const to = new Lowering(id);
  const values = new Values(to);
  const feeds: Feed[] = [];
  for (const {
    outputs: [blob],
  } of inputsOf(graph, "placeholder")) {
    const feed = placeholder(to, blob!);
    feeds.push(feed);
    values.set(blob!, decode(to, feed.name, blob!.dtype));
  }
  const reads: string[] = [];
  for (const {
    attrs,
    outputs: [blob],
  } of inputsOf(graph, "variable")) {
    const read = to.one("ReadVariableOp", [handleOf(String(attrs.name))], { dtype: type(blob!.dtype) });
    reads.push(read);
    values.set(blob!, read);
  }
  const inPlace = updatesInPlace(graph);
  const skipped = new Set(
    [...inPlace].flatMap(([next, { scaled }]) => (scaled === undefined ? [next] : [next, scaled])),
  );
  lowerNodes(to, graph, values, { skipped, gpu });
  // A root may be asked for twice or be an input, so each leaves through a node of its own.
  const leave = (blob: Blob): string =>
    to.one("Identity", [encode(to, values.get(blob), blob.dtype)], { T: type(edgeTypes[blob.dtype]) });
  const outputs = graph.outputs.map(leave);
  const checks = graph.checks.map(({ blob }) => leave(blob));
  const updates = [...graph.updates].map(([variable, blob]) => {
    const { dtype } = blob;
    const { op = "AssignVariableOp", by = blob, rate } = inPlace.get(blob) ?? {};
    const value = values.get(by);
    const operands = [
      ...(rate === undefined ? [] : [to.reshape(values.get(rate), dtype, [])]),
      by === blob && mayBeFed(blob) ? own(to, value, dtype) : value,
    ];
    return {
      op,
      handle: handleOf(variable),
      operands,
      attributes: { [rate === undefined ? "dtype" : "T"]: type(dtype) },
    };
  });
  const before = [...reads, ...outputs, ...updates.flatMap(({ operands }) => operands)];
  const assignAll = (permit: readonly string[]): readonly string[] =>
    updates.map(({ op, handle, operands, attributes }) =>
      to.one(op, [handle, ...operands], attributes, { control: permit }),
    );
  const T = type("bool");
  if (graph.checks.length === 0) {
    const ready = to.one("NoOp", [], {}, { control: before });
    const assigned = assignAll([ready]);
    const done = to.one("Identity", [to.scalar("bool", true)], { T }, { control: [ready, ...assigned] });
    return { nodes: to.nodes, feeds, outputs, done, checks };
  }
  const passed = graph.checks.map((check) => holds(to, values.get(check.blob), check));
  const all = passed.reduce((x, y) => to.one("LogicalAnd", [x, y]));
  // The branch not taken is dead, and so is all that waits for it: the assignments of a step whose checks fail do not run.
  const [failed, held] = to.nodeOf("Switch", [all, all], { T }, { outputs: 2 }) as [string, string];
  const permit = to.one("Identity", [held], { T }, { control: before });
  const committed = to.one("Identity", [permit], { T }, { control: assignAll([permit]) });
  const refused = to.one("Identity", [failed], { T }, { control: before });
  const done = to.one("Merge", [committed, refused], { T, N: { int: 2 } });
  return { nodes: to.nodes, feeds, outputs, done, checks };
}

/** Lowers what lies behind the inputs, whose values are there, and adds the values of all else to them. */
export function lowerNodes(
  to: Lowering,
  graph: Graph,
  values: Values,
  {
    skipped = new Set(),
    gpu = false,
  }: { readonly skipped?: { has(blob: Blob): boolean }; readonly gpu?: boolean } = {},
): void {
  for (const node of graph.nodes) {
    if (node.op === "placeholder" || node.op === "variable" || skipped.has(node.outputs[0]!)) continue;
    to.label = node.name ?? node.op;
    to.device = gpu ? deviceOf(node) : undefined;
    values.lower(node);
  }
  to.label = undefined;
  to.device = undefined;
}

/**
 * TensorFlow's name of the device of a node. Only what computes with floats is held to a GPU: integer ops without a kernel there
 * would be an error, where TensorFlow by itself takes the CPU for them. So are variables, which all jobs share.
 */
function deviceOf({ device, outputs }: Node): string | undefined {
  if (device === undefined || device === "cpu") return device && "/device:CPU:0";
  return outputs.every(({ dtype }) => isFloat(dtype)) ? device.replace("gpu", "/device:GPU") : undefined;
}

/** A bool of rank 0: no element lies outside the check's range; NaN does not, as in `assertCheck`. */
function holds(to: Lowering, x: string, { blob, low, high }: Check): string {
  const T = type("float64");
  const wide = to.cast(x, blob.dtype, "float64");
  const below = to.one("Less", [wide, to.scalar("float64", low)], { T });
  const above = to.one("Greater", [wide, to.scalar("float64", high)], { T });
  const axes = to.ints(blob.shape.map((_, axis) => axis));
  const outside = to.one("Any", [to.one("LogicalOr", [below, above]), axes], { Tidx: type("int32") });
  return to.one("LogicalNot", [outside]);
}

/** A new value `variable + by`, `variable - by` or `variable - rate * by`, the product being `scaled`. */
interface InPlace {
  readonly op: "AssignAddVariableOp" | "AssignSubVariableOp" | "ResourceApplyGradientDescent";
  readonly by: Blob;
  readonly rate?: Blob;
  readonly scaled?: Blob;
}

/** `variable - y`, where y may be a gradient times one number, used here only. */
function subtraction(y: Blob, isSingle: (blob: Blob) => boolean): InPlace {
  const [a, b] =
    y.node.op === "multiply" && isSingle(y) && isFloat(y.dtype) && y.dtype !== "float16" ? y.node.inputs : [];
  const [by, rate] = a !== undefined && sizeOf(a.shape) === 1 ? [b, a] : [a, b];
  if (by === undefined || sizeOf(rate!.shape) !== 1 || !sameShape(by.shape, y.shape))
    return { op: "AssignSubVariableOp", by: y };
  return { op: "ResourceApplyGradientDescent", by, rate: rate!, scaled: y };
}

/**
 * Updates that TensorFlow makes in the variable's own memory, by new value: the same sum, one pass over less memory. Only where
 * nothing else needs the new value, and nothing that leaves the job may lie in the variable's memory, since a copy made then
 * could fail when other variables have changed.
 */
function updatesInPlace(graph: Graph): ReadonlyMap<Blob, InPlace> {
  const uses = new Map<Blob, number>();
  for (const blob of [...graph.nodes.flatMap((node) => node.inputs), ...rootsOf(graph)])
    uses.set(blob, (uses.get(blob) ?? 0) + 1);
  const found = new Map<Blob, InPlace>();
  for (const [variable, next] of graph.updates) {
    const { op, inputs } = next.node;
    const isOld = ({ node }: Blob): boolean => node.op === "variable" && node.attrs.name === variable;
    const leaves = graph.outputs.some((output) => mayShare(output, isOld));
    if (uses.get(next) !== 1 || leaves || !["float32", "float64", "int32", "int64"].includes(next.dtype)) continue;
    const [x, y] = inputs;
    const isSingle = (blob: Blob): boolean => uses.get(blob) === 1;
    if (op === "subtract" && isOld(x!) && sameShape(y!.shape, next.shape)) found.set(next, subtraction(y!, isSingle));
    else if (op === "add" && isOld(x!) && sameShape(y!.shape, next.shape))
      found.set(next, { op: "AssignAddVariableOp", by: y! });
    else if (op === "add" && isOld(y!) && sameShape(x!.shape, next.shape))
      found.set(next, { op: "AssignAddVariableOp", by: x! });
  }
  return found;
}

/** Ops whose result is new memory, unless TensorFlow sees that a constant operand makes them the identity. */
const computes = new Set([
  "add",
  "subtract",
  "multiply",
  "divide",
  "matmul",
  "conv",
  "convFilterGrad",
  "convInputGrad",
]);
const constants = new Set(["constant", "iota", "broadcastTo", "reshape"]);

/** Whether a value may lie in the memory of one of these. */
function mayShare(blob: Blob, source: (blob: Blob) => boolean, seen = new Set<Blob>()): boolean {
  if (seen.has(blob)) return false;
  seen.add(blob);
  if (source(blob)) return true;
  const { op, inputs } = blob.node;
  if (computes.has(op) && !inputs.some(({ node }) => constants.has(node.op))) return false;
  return inputs.some((input) => mayShare(input, source, seen));
}

const mayBeFed = (blob: Blob): boolean => mayShare(blob, ({ node }) => node.op === "placeholder");
