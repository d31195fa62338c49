import { allocate, type DType } from "../../../core/dtype.js";
import { bytesOf, type Tensor } from "../../../core/tensor.js";
import type { BlobType } from "../../../graph/blob.js";
import * as table from "../../table.js";
import type { Attribute, ElementType, TensorFlowNode } from "../encode.js";

/** How a node is made beyond its op and inputs. */
export interface NodeOptions {
  readonly outputs?: number;
  /** Values whose nodes must have run before this one. */
  readonly control?: readonly string[];
  /** The node's name; a fresh one where left out. */
  readonly name?: string;
}

/**
 * Collects the TensorFlow nodes of one job. Names are `scope/label/op_7`, so that an error of a kernel names the op of the job; a
 * value is named as its node, or `node:2`.
 */
export class Lowering {
  readonly nodes: TensorFlowNode[] = [];
  readonly #known = new Map<string, string>();
  #count = 0;
  /** The op of the job that the nodes made now stand for. */
  label: string | undefined;
  /** Where the nodes made now run, `/device:GPU:0`; TensorFlow's own choice where undefined. */
  device: string | undefined;
  constructor(readonly scope: string) {}

  /** A fresh node name, which tells the op. */
  fresh(op: string): string {
    const label = this.label?.replace(/[^A-Za-z0-9_.-]/g, "_");
    return `${this.scope}/${label === undefined ? "" : `${label}/`}${op}_${this.#count++}`;
  }

  /** Appends a node and returns the names of its outputs. */
  nodeOf(
    op: string,
    inputs: readonly string[],
    attributes: TensorFlowNode["attributes"] = {},
    { outputs = 1, control = [], name = this.fresh(op) }: NodeOptions = {},
  ): readonly string[] {
    const edges = new Set(control.map((value) => `^${nodeNameOf(value)}`));
    this.nodes.push({
      op,
      name,
      inputs: [...inputs, ...edges],
      attributes,
      ...(this.device === undefined ? {} : { device: this.device }),
    });
    return Array.from({ length: outputs }, (_, i) => (i === 0 ? name : `${name}:${i}`));
  }

  /** Appends a node and returns the name of its first output. */
  one(
    op: string,
    inputs: readonly string[],
    attributes: TensorFlowNode["attributes"] = {},
    options: NodeOptions = {},
  ): string {
    return this.nodeOf(op, inputs, attributes, options)[0]!;
  }

  /** A constant; equal ones are shared. */
  tensor(tensor: Tensor): string {
    const key = `${tensor.dtype}[${tensor.shape.join(",")}] ${Buffer.from(bytesOf(tensor)).toString("base64")}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const name = this.one("Const", [], { dtype: type(tensor.dtype), value: { tensor } });
    this.#known.set(key, name);
    return name;
  }

  /** A constant of rank 0, which broadcasts and is what many kernels' parameters must be. */
  scalar(dtype: DType, value: number | bigint | boolean): string {
    return this.tensor(filled(dtype, [], [value]));
  }

  /** An int32 vector: axes, shapes, permutations. */
  ints(values: readonly number[]): string {
    return this.tensor(filled("int32", [values.length], values));
  }

  /** `x` converted; floats go towards 0, numbers to bool by `x != 0`. */
  cast(x: string, from: DType, to: DType): string {
    return from === to ? x : this.one("Cast", [x], { SrcT: type(from), DstT: type(to) });
  }

  /** `x` under another shape of as many elements. */
  reshape(x: string, dtype: DType, shape: readonly number[]): string {
    return this.one("Reshape", [x, this.ints(shape)], { T: type(dtype) });
  }
}

/** The node that makes a value: `a/b` of `a/b:1`. */
export const nodeNameOf = (value: string): string => value.split(":")[0]!;

function filled(dtype: DType, shape: readonly number[], values: readonly (number | bigint | boolean)[]): Tensor {
  const data = allocate(dtype, values.length);
  for (const [i, value] of values.entries()) data[i] = dtype === "int64" ? BigInt(value) : Number(value);
  return { dtype, shape, data };
}

export const int = (value: number): Attribute => ({ int: value });
export const ints = (values: readonly number[]): Attribute => ({ ints: values });
export const float = (value: number): Attribute => ({ float: value });
export const bool = (value: boolean): Attribute => ({ bool: value });
export const string = (value: string): Attribute => ({ string: value });
export const type = (dtype: ElementType): Attribute => ({ type: dtype });
export const shape = (value: readonly number[]): Attribute => ({ shape: value });

/** Lowers one node. */
export type Emitter<A> = table.Emitter<Lowering, A>;
export type Emitters = table.Emitters<Lowering>;
export const { onlyWhere } = table;

/** An op that TensorFlow has under another name, its attribute `T` being the dtype of the last input. */
export const same =
  (op: string): Emitter<unknown> =>
  (to, inputs, _, __, node) =>
    to.one(op, inputs, { T: type(node.inputs.at(-1)!.dtype) });

/** Of a decomposable op: TensorFlow's CPU kernel is for floats that a row names only. */
export const inFloats = <A>(emit: Emitter<A>, dtypes: readonly DType[] = ["float32", "float64"]): Emitter<A> =>
  onlyWhere((node) => dtypes.includes(node.outputs[0]!.dtype), emit);

/** As `emit`, through another dtype that holds every value, for dtypes that TensorFlow's CPU kernel lacks. */
export const through =
  (wide: DType, emit: Emitter<never>, lacking: readonly DType[]): Emitter<unknown> =>
  (to, inputs, attrs, types, node) => {
    const dtype = node.inputs.at(-1)!.dtype;
    if (!lacking.includes(dtype)) return emit(to, inputs, attrs as never, types, node);
    const widen = <T extends BlobType>(of: readonly T[]): readonly T[] =>
      of.map((blob) => (blob.dtype === dtype ? { ...blob, dtype: wide } : blob));
    const [sources, targets] = [widen(node.inputs), widen(types)];
    const values = inputs.map((input, i) => to.cast(input, node.inputs[i]!.dtype, sources[i]!.dtype));
    const seen = { ...node, inputs: sources, outputs: widen(node.outputs) };
    const results = [emit(to, values, attrs as never, targets, seen)].flat();
    return results.map((result, i) => to.cast(result, targets[i]!.dtype, types[i]!.dtype));
  };
