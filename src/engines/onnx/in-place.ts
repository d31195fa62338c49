import { allocate, type DType } from "../../core/dtype.js";
import { sizeOf } from "../../core/shape.js";
import { type Tensor, zeros } from "../../core/tensor.js";
import type { BlobType } from "../../graph/blob.js";
import { type OnnxModel, type OnnxNode, onnxElementType } from "./encode.js";

/** The range of a check's values, in the order of the model's checks. */
interface Range {
  readonly low: number;
  readonly high: number;
}

/** A model some of whose variables are overwritten by the step itself. */
export interface InPlaceModel {
  readonly model: OnnxModel;
  /** The variables whose next value may be written into the buffer of the old one. */
  readonly inPlace: ReadonlySet<string>;
}

/** The node that fails where a check does: no update runs after it. onnxruntime's message names it. */
export const gateName = "onestep.gate";

// Each element of the result depends on the elements at its own place only, so it may be written where one of them was.
const elementwise = new Set([
  "Abs",
  "Add",
  "BitCast",
  "Cast",
  "Div",
  "Max",
  "Min",
  "Mul",
  "Neg",
  "Pow",
  "Sign",
  "Sqrt",
  "Sub",
  "Where",
]);
/** Where a node may read the old value in the buffer that it writes: at these inputs. */
const overwrites = new Map<string, (at: number) => boolean>([
  ...["Add", "Div", "Mul", "Sub"].map((op) => [op, () => true] as const),
  // They copy their first input into the result, then write the rows.
  ...["ScatterElements", "ScatterND"].map((op) => [op, (at: number) => at === 0] as const),
]);
// Results that may share memory with the first input.
const views = new Set(["BitCast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"]);

/**
 * Lets the next values of `candidates` be written over the old ones. All that is not part of an update runs before all that
 * is, by dependence on data and not by an order that onnxruntime happens to choose: an element of every result that nothing
 * but updates uses goes into a token, a zero, which is added to the shape that a Reshape (no copy) gives an operand of each
 * node of an update that would not wait otherwise: a number that many share, if there is one. The token comes out of a gate that
 * fails where a check does, so a step that a check refuses has written nothing.
 * A variable whose updates read it in a way that is not surely safe is left out. `model` has its nodes in the order of the graph.
 */
export function updateInPlace(
  model: OnnxModel,
  candidates: ReadonlySet<string>,
  checks: readonly Range[],
): InPlaceModel {
  const unchanged = { model, inPlace: new Set<string>() };
  const { nodes } = model;
  const makers = new Map(nodes.flatMap((node, i) => node.outputs.map((value) => [value, i] as const)));
  const users = usersOf(nodes);
  const usersOfNode = (node: OnnxNode): readonly number[] => node.outputs.flatMap((value) => users.get(value) ?? []);
  const leaving = new Set(model.outputs.map(({ name }) => name));
  const finals = new Set(
    model.outputs.flatMap(({ name }) => (name.startsWith("next:") && makers.has(name) ? [makers.get(name)!] : [])),
  );

  const later = new Set(finals);
  /** Whether a node reads a next value, or what follows from one. */
  const follows = ({ inputs }: OnnxNode): boolean =>
    inputs.some((value) => makers.has(value) && later.has(makers.get(value)!));
  for (const [i, node] of nodes.entries()) if (follows(node)) later.add(i);
  // What nothing but updates uses, back to the gradients; and what follows from next values.
  const updating = new Set<number>();
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i]!;
    // Its operands are activations, which would be kept until it runs.
    const product = node.op === "Gemm" && !follows(node);
    const inner = !node.outputs.some((value) => leaving.has(value)) && (elementwise.has(node.op) || later.has(i));
    if (
      (finals.has(i) && !product) ||
      (inner && usersOfNode(node).length > 0 && usersOfNode(node).every((user) => updating.has(user)))
    )
      updating.add(i);
  }
  // Something outside waits for an update: checks of next values, results made from them.
  if ([...finals].some((i) => usersOfNode(nodes[i]!).some((user) => !updating.has(user)))) return unchanged;

  const inPlace = new Set([...candidates].filter((name) => isSafe(name, nodes, { makers, users, updating })));
  if (inPlace.size === 0) return unchanged;

  const writer = new Writer(model);
  const ends = nodes.filter((node, i) => !updating.has(i) && usersOfNode(node).every((user) => updating.has(user)));
  // onnxruntime computes what the gate waits for last to first: so what lies behind the fewest nodes, each gradient as soon as its cotangent is there.
  const depth = depthsOf(nodes);
  const inTurn = ends.toSorted((a, b) => depth.get(b)! - depth.get(a)!);
  const token = writer.gate(
    inTurn.map(({ outputs }) => outputs.find((value) => value !== "")!),
    model.outputs.flatMap(({ name, shape }) => (name.startsWith("check:") && sizeOf(shape) > 0 ? [name] : [])),
    model.outputs.flatMap(({ name, shape }) =>
      name.startsWith("check:") && sizeOf(shape) > 0 ? [checks[Number(name.slice("check:".length))]!] : [],
    ),
  );
  const constants = new Set(model.initializers.map(({ name }) => name));
  const before: OnnxNode[] = nodes.filter((_, i) => !updating.has(i));
  const after: OnnxNode[] = [];
  const waiting = new Set<string>();
  for (const [i, node] of nodes.entries()) {
    if (!updating.has(i)) continue;
    const own = finals.has(i) ? `var:${node.outputs[0]!.slice("next:".length)}` : undefined;
    const waits = node.inputs.some((value) => waiting.has(value));
    // Where it is not the arithmetic's, a constant may have to stay one: axes, shapes.
    const free = (value: string): boolean => value !== own && (!constants.has(value) || elementwise.has(node.op));
    const held = waits ? undefined : writer.cheapest(node.inputs.filter((value) => value !== "" && free(value)));
    const inputs = node.inputs.map((value) => (value === held ? writer.after(value, token, after) : value));
    if (waits || held !== undefined) for (const value of node.outputs) waiting.add(value);
    after.push({ ...node, inputs });
  }
  // An update of constants alone waits for nothing.
  for (const name of inPlace) if (!waiting.has(`next:${name}`)) inPlace.delete(name);
  if (inPlace.size === 0) return unchanged;
  return {
    model: { ...model, nodes: [...before, ...writer.gateNodes, ...after], initializers: writer.initializers },
    inPlace,
  };
}

/** The longest path to each node. */
function depthsOf(nodes: readonly OnnxNode[]): ReadonlyMap<OnnxNode, number> {
  const depths = new Map<OnnxNode, number>();
  const ofValue = new Map<string, number>();
  for (const node of nodes) {
    const depth = 1 + Math.max(0, ...node.inputs.map((value) => ofValue.get(value) ?? 0));
    depths.set(node, depth);
    for (const value of node.outputs) ofValue.set(value, depth);
  }
  return depths;
}

function usersOf(nodes: readonly OnnxNode[]): ReadonlyMap<string, readonly number[]> {
  const users = new Map<string, number[]>();
  for (const [i, { inputs }] of nodes.entries())
    for (const value of inputs) {
      const known = users.get(value);
      if (known === undefined) users.set(value, [i]);
      else known.push(i);
    }
  return users;
}

interface Uses {
  readonly makers: ReadonlyMap<string, number>;
  readonly users: ReadonlyMap<string, readonly number[]>;
  readonly updating: ReadonlySet<number>;
}

/** Whether all that reads the old value is done when the next is written, or reads each element no later than it is written. */
function isSafe(name: string, nodes: readonly OnnxNode[], { makers, users, updating }: Uses): boolean {
  const old = `var:${name}`;
  const last = makers.get(`next:${name}`);
  if (last === undefined) return false;
  const before = new Set([last]);
  for (let i = last; i >= 0; i--)
    if (before.has(i)) for (const value of nodes[i]!.inputs) if (makers.has(value)) before.add(makers.get(value)!);
  const seen = new Set([old]);
  for (const value of seen)
    for (const reader of users.get(value) ?? []) {
      const node = nodes[reader]!;
      if (reader === last) {
        const fits = overwrites.get(node.op);
        if (value !== old || fits === undefined || node.inputs.some((input, at) => input === value && !fits(at)))
          return false;
      } else if (updating.has(reader) && !before.has(reader)) return false;
      if (views.has(node.op) && reader !== last) for (const view of node.outputs) seen.add(view);
    }
  // It does not wait for the others: a buffer of its own for the next value costs less than what its operands are made of.
  return nodes[last]!.op !== "Gemm";
}

/** Appends the nodes of the gate, and the Reshapes behind it. */
class Writer {
  readonly gateNodes: OnnxNode[] = [];
  readonly initializers: { readonly name: string; readonly tensor: Tensor }[];
  readonly #after = new Map<string, string>();
  readonly #origins = new Map<number, string>();
  readonly #known: ReadonlyMap<string, BlobType>;
  #count = 0;

  constructor(model: OnnxModel) {
    this.initializers = [...model.initializers];
    this.#known = new Map<string, BlobType>([
      ...model.initializers.map(({ name, tensor }) => [name, tensor] as const),
      ...[...model.inputs, ...(model.values ?? [])].map((port) => [port.name, port] as const),
    ]);
  }

  /** The value that costs least to hold back: one that is held already, else the smallest, else one of unknown size. */
  cheapest(values: readonly string[]): string | undefined {
    const cost = (value: string): number => {
      const known = this.#known.get(value);
      return this.#after.has(value) ? -1 : known === undefined ? Infinity : sizeOf(known.shape);
    };
    return values.toSorted((a, b) => cost(a) - cost(b))[0];
  }

  /** Zero, as int64 `[1]`, computed from an element of each of `values`; it fails where a check is out of its range. */
  gate(values: readonly string[], checks: readonly string[], ranges: readonly Range[]): string {
    const flat = (value: string): string => this.#one("Reshape", [value, this.#ints([-1])]);
    const cast = (value: string, dtype: DType): string =>
      this.#one("Cast", [value], { to: { int: onnxElementType[dtype] } });
    const first = values.map((value) => {
      const known = this.#known.get(value);
      if (known === undefined || sizeOf(known.shape) === 0)
        return cast(this.#one("Slice", [flat(value), this.#ints([0]), this.#ints([1])]), "float32");
      // Of the hundreds that a deep model has, nearly all come this way: one node each.
      const element = this.#one("GatherND", [value, this.#origin(known.shape.length)]);
      return known.dtype === "float32" ? element : cast(element, "float32");
    });
    // Nothing is below negative infinity, which only we know.
    const joined = this.#one("Concat", [...first, this.#number(0, "float32")], { axis: { int: 0 } });
    const bad = [
      this.#one("Less", [joined, this.#number(-Infinity, "float32")]),
      ...checks.flatMap((check, i) => {
        const value = cast(flat(check), "float64");
        return [
          this.#one("Less", [value, this.#number(ranges[i]!.low)]),
          this.#one("Greater", [value, this.#number(ranges[i]!.high)]),
        ];
      }),
    ];
    const all = this.#one("Cast", [this.#one("Concat", bad, { axis: { int: 0 } })], {
      to: { int: onnxElementType.int64 },
    });
    const any = this.#one("ReduceMax", [all, this.#ints([0])], { keepdims: { int: 1 } });
    // Row 1 of one row: Gather refuses it.
    return this.#one("Gather", [this.#ints([0]), any], {}, gateName);
  }

  /** `value`, known only when `token` is. */
  after(value: string, token: string, into: OnnxNode[]): string {
    const known = this.#after.get(value);
    if (known !== undefined) return known;
    const shape = this.#one("Shape", [value], {}, undefined, into);
    const shifted = this.#one("Add", [shape, token], {}, undefined, into);
    const result = this.#one("Reshape", [value, shifted], { allowzero: { int: 1 } }, undefined, into);
    this.#after.set(value, result);
    return result;
  }

  #one(
    op: string,
    inputs: readonly string[],
    attributes: OnnxNode["attributes"] = {},
    name?: string,
    into = this.gateNodes,
  ): string {
    const output = `after:${this.#count++}`;
    into.push({ op, name: name ?? `${op}_${output}`, inputs, outputs: [output], attributes });
    return output;
  }

  #ints(values: readonly number[]): string {
    const data = allocate("int64", values.length);
    values.forEach((value, i) => {
      data[i] = BigInt(value);
    });
    return this.#initializer({ dtype: "int64", shape: [values.length], data });
  }

  /** The place of the first element of a value of that rank. */
  #origin(rank: number): string {
    const known = this.#origins.get(rank) ?? this.#initializer(zeros("int64", [1, rank]));
    this.#origins.set(rank, known);
    return known;
  }

  #number(value: number, dtype: "float32" | "float64" = "float64"): string {
    const data = dtype === "float32" ? Float32Array.of(value) : Float64Array.of(value);
    return this.#initializer({ dtype, shape: [1], data });
  }

  #initializer(tensor: Tensor): string {
    const name = `gate:${this.initializers.length}`;
    this.initializers.push({ name, tensor });
    return name;
  }
}
