import { allocate, type DType } from "../../../core/dtype.js";
import type { Shape } from "../../../core/shape.js";
import { bytesOf, type Tensor } from "../../../core/tensor.js";
import type { Node } from "../../../graph/graph.js";
import * as table from "../../table.js";
import { type Attribute, type OnnxNode, onnxElementType } from "../encode.js";

/** Collects the ONNX nodes and initializers of one job. Values are named `v0`, `v1`, ... */
export class Lowering {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: { readonly name: string; readonly tensor: Tensor }[] = [];
  readonly #known = new Map<string, string>();
  readonly #constants = new Map<string, Tensor>();
  readonly #lists = new Map<string, string>();
  /** Places in `nodes`, by op, inputs and attributes. */
  readonly #made = new Map<string, number>();
  #count = 0;
  /**
   * `block` is the number of channels that blocked convolutions keep together, where the machine has such kernels; `portable`
   * allows ONNX's own operators only.
   */
  constructor(
    readonly block?: number,
    readonly portable = false,
    /** Whether the sign or the order of a node's results decides where gradients flow: see `deciding`. */
    readonly decides: (node: Node) => boolean = () => false,
  ) {}

  /** A fresh value name. */
  fresh(): string {
    return `v${this.#count++}`;
  }

  /** Appends an ONNX node, or finds one that does the same, and returns the names of its outputs. */
  nodeOf(
    op: string,
    inputs: readonly string[],
    attributes: OnnxNode["attributes"] = {},
    { outputs = 1, domain }: { readonly outputs?: number; readonly domain?: string } = {},
  ): readonly string[] {
    const key = JSON.stringify([domain, op, inputs, attributes, outputs]);
    const known = this.#made.get(key);
    if (known !== undefined) return this.nodes[known]!.outputs;
    const names = Array.from({ length: outputs }, () => this.fresh());
    this.#made.set(key, this.nodes.length);
    this.nodes.push({
      op,
      name: `${op}_${this.nodes.length}`,
      inputs,
      outputs: names,
      attributes,
      ...(domain === undefined ? {} : { domain }),
    });
    return names;
  }

  /** Appends a one-output ONNX node. */
  one(op: string, inputs: readonly string[], attributes: OnnxNode["attributes"] = {}, domain?: string): string {
    return this.nodeOf(op, inputs, attributes, domain === undefined ? {} : { domain })[0]!;
  }

  /** Gives a value that one of the nodes from `first` on makes another name; false where none of them makes it. */
  rename(value: string, name: string, first: number): boolean {
    const some = this.nodes.slice(first);
    if (!some.some(({ outputs }) => outputs.includes(value))) return false;
    const renamed = (names: readonly string[]): readonly string[] => names.map((n) => (n === value ? name : n));
    for (const [i, node] of some.entries())
      this.nodes[first + i] = { ...node, inputs: renamed(node.inputs), outputs: renamed(node.outputs) };
    return true;
  }

  /** An initializer; equal ones are shared. */
  tensor(tensor: Tensor): string {
    const key = `${tensor.dtype}[${tensor.shape.join(",")}] ${Buffer.from(bytesOf(tensor)).toString("base64")}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const name = `c${this.initializers.length}`;
    this.initializers.push({ name, tensor });
    this.#constants.set(name, tensor);
    this.#known.set(key, name);
    return name;
  }

  /** An int64 vector: axes and shapes. */
  ints(values: readonly number[]): string {
    const key = values.join();
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const data = allocate("int64", values.length);
    values.forEach((value, i) => {
      data[i] = BigInt(value);
    });
    const name = this.tensor({ dtype: "int64", shape: [values.length], data });
    this.#lists.set(key, name);
    return name;
  }

  /** `x` in another shape; an initializer gets it at once. */
  reshape(x: string, shape: Shape): string {
    const constant = this.#constants.get(x);
    return constant === undefined ? this.one("Reshape", [x, this.ints(shape)]) : this.tensor({ ...constant, shape });
  }

  cast(x: string, dtype: DType): string {
    return this.one("Cast", [x], { to: { int: onnxElementType[dtype] } });
  }
}

export const int = (value: number | boolean): Attribute => ({ int: Number(value) });
export const ints = (values: readonly number[]): Attribute => ({ ints: values });
export const float = (value: number): Attribute => ({ float: value });

/** Lowers one node. */
export type Emitter<A> = table.Emitter<Lowering, A>;
export type Emitters = table.Emitters<Lowering>;
export const { onlyWhere } = table;

/** An op that ONNX has under another name, on all our dtypes. */
export const same =
  (op: string): Emitter<unknown> =>
  (to, inputs) =>
    to.one(op, inputs);

/** Of a decomposable op: onnxruntime's CPU kernel is for float32 only. */
export const inFloat32 = <A>(emit: Emitter<A>): Emitter<A> =>
  onlyWhere((node) => node.outputs[0]!.dtype === "float32", emit);

/** As `same`, through int32 for dtypes that onnxruntime's CPU kernel lacks. */
export const throughInt32 =
  (emit: Emitter<never>, lacking: readonly DType[] = ["int8", "uint8"]): Emitter<unknown> =>
  (to, inputs, attrs, types, node) => {
    const dtype = node.inputs.at(-1)!.dtype;
    if (!lacking.includes(dtype)) return emit(to, inputs, attrs as never, types, node);
    const wide = inputs.map((input, i) => (node.inputs[i]!.dtype === dtype ? to.cast(input, "int32") : input));
    const [result] = [emit(to, wide, attrs as never, types, node)].flat();
    return types[0]!.dtype === dtype ? to.cast(result!, dtype) : result!;
  };
