import type { Field, Type } from "protobufjs";
import type { DType } from "../../core/dtype.js";
import type { Shape } from "../../core/shape.js";
import { bytesOf, type Tensor } from "../../core/tensor.js";
import { bitCastOpset, irVersion, opsets } from "./versions.js";

/** An input or output of a model. */
export interface Port {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** An attribute of an ONNX node, by its ONNX type. */
export type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly tensor: Tensor };

export interface OnnxNode {
  readonly op: string;
  /** ONNX's own where left out. */
  readonly domain?: string;
  readonly name: string;
  /** An empty name is an optional input left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export interface OnnxModel {
  readonly name: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly initializers: readonly { readonly name: string; readonly tensor: Tensor }[];
  readonly nodes: readonly OnnxNode[];
  /** Types of values between nodes. */
  readonly values?: readonly Port[];
}

/** What a model file says of itself; the defaults are the engine's own. */
export interface ModelHeader {
  readonly irVersion: number;
  readonly opset: number;
  readonly producerVersion: string;
  /** Writes the types of values between nodes too, for people and tools. */
  readonly describe: boolean;
}

/** TensorProto.DataType. */
export const onnxElementType: Record<DType, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
};

/** What a model's inputs and outputs are on the host's side, where halves are float32. */
export const edgeType = (dtype: DType): Exclude<DType, "float16"> => (dtype === "float16" ? "float32" : dtype);

// AttributeProto.AttributeType.
const attributeType = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7 } as const;

/** Messages of onnx.proto, by field numbers: name -> [field number, type, rule]. */
const messages: Readonly<Record<string, Readonly<Record<string, readonly [number, string, "repeated"?]>>>> = {
  ModelProto: {
    irVersion: [1, "int64"],
    producerName: [2, "string"],
    producerVersion: [3, "string"],
    graph: [7, "GraphProto"],
    opsetImport: [8, "OperatorSetIdProto", "repeated"],
  },
  OperatorSetIdProto: { domain: [1, "string"], version: [2, "int64"] },
  GraphProto: {
    node: [1, "NodeProto", "repeated"],
    name: [2, "string"],
    initializer: [5, "TensorProto", "repeated"],
    input: [11, "ValueInfoProto", "repeated"],
    output: [12, "ValueInfoProto", "repeated"],
    valueInfo: [13, "ValueInfoProto", "repeated"],
  },
  NodeProto: {
    input: [1, "string", "repeated"],
    output: [2, "string", "repeated"],
    name: [3, "string"],
    opType: [4, "string"],
    attribute: [5, "AttributeProto", "repeated"],
    domain: [7, "string"],
  },
  AttributeProto: {
    name: [1, "string"],
    f: [2, "float"],
    i: [3, "int64"],
    s: [4, "bytes"],
    t: [5, "TensorProto"],
    floats: [7, "float", "repeated"],
    ints: [8, "int64", "repeated"],
    type: [20, "int32"],
  },
  TensorProto: { dims: [1, "int64", "repeated"], dataType: [2, "int32"], name: [8, "string"], rawData: [9, "bytes"] },
  ValueInfoProto: { name: [1, "string"], type: [2, "TypeProto"] },
  TypeProto: { tensorType: [1, "TypeProtoTensor"] },
  TypeProtoTensor: { elemType: [1, "int32"], shape: [2, "TensorShapeProto"] },
  TensorShapeProto: { dim: [1, "Dimension", "repeated"] },
  Dimension: { dimValue: [1, "int64"] },
};

let modelType: Promise<Type> | undefined;

/** protobufjs takes 40 ms to load, so only the engine that needs it does. */
async function loadModelType(): Promise<Type> {
  const { default: protobuf } = await import("protobufjs/light.js");
  const root = new protobuf.Root();
  for (const [name, fields] of Object.entries(messages)) {
    const type = new protobuf.Type(name);
    for (const [field, [id, fieldType, rule]] of Object.entries(fields))
      type.add(new protobuf.Field(field, id, fieldType, rule) as Field);
    root.add(type);
  }
  return root.lookupType("ModelProto");
}

/** The bytes of an ONNX model. */
export async function encodeModel(
  { name, nodes, inputs, outputs, initializers, values }: OnnxModel,
  header?: ModelHeader,
): Promise<Uint8Array> {
  const type = await (modelType ??= loadModelType());
  const domains = new Set(nodes.map((node) => node.domain ?? "").concat(""));
  const own = nodes.some(({ op }) => op === "BitCast") ? bitCastOpset : opsets[""];
  return type
    .encode({
      irVersion: header?.irVersion ?? irVersion,
      producerName: "onestep",
      ...(header === undefined ? {} : { producerVersion: header.producerVersion }),
      opsetImport: [...domains]
        .sort()
        .map((domain) => ({ domain, version: domain === "" ? (header?.opset ?? own) : opsets[domain] })),
      graph: {
        name,
        node: nodes.map((node) => ({
          input: node.inputs,
          output: node.outputs,
          name: node.name,
          opType: node.op,
          domain: node.domain ?? "",
          attribute: Object.entries(node.attributes).map(([key, value]) => attributeOf(key, value)),
        })),
        initializer: initializers.map((entry) => tensorOf(entry.tensor, entry.name)),
        input: inputs.map(valueInfo),
        output: outputs.map(valueInfo),
        valueInfo: header?.describe === true ? (values ?? []).map(valueInfo) : [],
      },
    })
    .finish();
}

function attributeOf(name: string, value: Attribute): object {
  if ("int" in value) return { name, i: value.int, type: attributeType.int };
  if ("float" in value) return { name, f: value.float, type: attributeType.float };
  if ("string" in value) return { name, s: new TextEncoder().encode(value.string), type: attributeType.string };
  if ("ints" in value) return { name, ints: value.ints, type: attributeType.ints };
  if ("floats" in value) return { name, floats: value.floats, type: attributeType.floats };
  return { name, t: tensorOf(value.tensor), type: attributeType.tensor };
}

function tensorOf(tensor: Tensor, name = ""): object {
  return { dims: tensor.shape, dataType: onnxElementType[tensor.dtype], name, rawData: bytesOf(tensor) };
}

function valueInfo({ name, dtype, shape }: Port): object {
  return {
    name,
    type: { tensorType: { elemType: onnxElementType[dtype], shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
  };
}
