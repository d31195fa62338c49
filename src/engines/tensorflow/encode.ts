import type { Field, Root, Type } from "protobufjs";
import type { DType } from "../../core/dtype.js";
import type { Shape } from "../../core/shape.js";
import { bytesOf, type Tensor } from "../../core/tensor.js";
import { graphProducer, tag } from "./versions.js";

/** Element types of a graph: ours, the handles of variables, and what only kernels' attributes name. */
export type ElementType = DType | "resource" | "string" | "int16" | "uint16" | "uint32" | "uint64";

/** An attribute of a node, by its TensorFlow type. */
export type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly bool: boolean }
  | { readonly string: string }
  | { readonly type: ElementType }
  | { readonly shape: Shape }
  | { readonly tensor: Tensor }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly types: readonly ElementType[] };

export interface TensorFlowNode {
  readonly op: string;
  readonly name: string;
  /** `name` is output 0 of a node, `name:2` output 2, `^name` a control edge (all of them last). */
  readonly inputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** TensorFlow's own choice where left out. */
  readonly device?: string;
}

/** A value of a graph as a signature names it. */
export interface SignaturePort {
  readonly tensor: string;
  readonly dtype: ElementType;
  readonly shape: Shape;
}

/** What a client of a SavedModel calls. */
export interface Signature {
  readonly inputs: Readonly<Record<string, SignaturePort>>;
  readonly outputs: Readonly<Record<string, SignaturePort>>;
}

/** types.proto: DataType. */
export const elementTypes: Readonly<Record<ElementType, number>> = {
  float32: 1,
  float64: 2,
  int32: 3,
  uint8: 4,
  int16: 5,
  int8: 6,
  string: 7,
  int64: 9,
  bool: 10,
  uint16: 17,
  float16: 19,
  resource: 20,
  uint32: 22,
  uint64: 23,
};

type Rule = "repeated" | "map";
/** Messages of TensorFlow's protocol files, by field numbers: name -> [field number, type, rule]; maps have string keys. */
const messages: Readonly<Record<string, Readonly<Record<string, readonly [number, string, Rule?]>>>> = {
  SavedModel: { savedModelSchemaVersion: [1, "int64"], metaGraphs: [2, "MetaGraphDef", "repeated"] },
  MetaGraphDef: {
    metaInfoDef: [1, "MetaInfoDef"],
    graphDef: [2, "GraphDef"],
    saverDef: [3, "SaverDef"],
    signatureDef: [5, "SignatureDef", "map"],
  },
  MetaInfoDef: { tags: [4, "string", "repeated"], tensorflowVersion: [5, "string"] },
  SaverDef: {
    filenameTensorName: [1, "string"],
    saveTensorName: [2, "string"],
    restoreOpName: [3, "string"],
    version: [7, "int32"],
  },
  SignatureDef: {
    inputs: [1, "TensorInfo", "map"],
    outputs: [2, "TensorInfo", "map"],
    methodName: [3, "string"],
  },
  TensorInfo: { name: [1, "string"], dtype: [2, "int32"], tensorShape: [3, "TensorShapeProto"] },
  GraphDef: { node: [1, "NodeDef", "repeated"], versions: [4, "VersionDef"] },
  VersionDef: { producer: [1, "int32"], minConsumer: [2, "int32"] },
  NodeDef: {
    name: [1, "string"],
    op: [2, "string"],
    input: [3, "string", "repeated"],
    device: [4, "string"],
    attr: [5, "AttrValue", "map"],
  },
  AttrValue: {
    list: [1, "ListValue"],
    s: [2, "bytes"],
    i: [3, "int64"],
    f: [4, "float"],
    b: [5, "bool"],
    type: [6, "int32"],
    shape: [7, "TensorShapeProto"],
    tensor: [8, "TensorProto"],
  },
  ListValue: { i: [3, "int64", "repeated"], f: [4, "float", "repeated"], type: [6, "int32", "repeated"] },
  TensorShapeProto: { dim: [2, "Dim", "repeated"] },
  Dim: { size: [1, "int64"] },
  TensorProto: { dtype: [1, "int32"], tensorShape: [2, "TensorShapeProto"], tensorContent: [4, "bytes"] },
  ConfigProto: {
    intraOpParallelismThreads: [2, "int32"],
    interOpParallelismThreads: [5, "int32"],
    graphOptions: [10, "GraphOptions"],
  },
  GraphOptions: { rewriteOptions: [10, "RewriterConfig"] },
  RewriterConfig: { disableMetaOptimizer: [19, "bool"] },
};

let loaded: Promise<Root> | undefined;

/** protobufjs takes 40 ms to load, so only the engine that needs it does. */
async function typeOf(name: string): Promise<Type> {
  return (await (loaded ??= loadTypes())).lookupType(name);
}

async function loadTypes(): Promise<Root> {
  const { default: protobuf } = await import("protobufjs/light.js");
  const root = new protobuf.Root();
  for (const [name, fields] of Object.entries(messages)) {
    const type = new protobuf.Type(name);
    for (const [field, [id, fieldType, rule]] of Object.entries(fields))
      type.add(
        rule === "map"
          ? new protobuf.MapField(field, id, "string", fieldType)
          : (new protobuf.Field(field, id, fieldType, rule) as Field),
      );
    root.add(type);
  }
  return root;
}

export interface SavedModelOptions {
  readonly tags?: readonly string[];
  readonly signatures?: Readonly<Record<string, Signature>>;
}

/** The bytes of a `saved_model.pb` that holds one graph. */
export async function encodeSavedModel(
  nodes: readonly TensorFlowNode[],
  { tags = [tag], signatures = {} }: SavedModelOptions = {},
): Promise<Uint8Array> {
  const type = await typeOf("SavedModel");
  return type
    .encode({
      savedModelSchemaVersion: 1,
      metaGraphs: [
        {
          metaInfoDef: { tags },
          graphDef: { node: nodes.map(nodeDef), versions: { producer: graphProducer } },
          signatureDef: mapOf(signatures, ({ inputs, outputs }) => ({
            inputs: mapOf(inputs, tensorInfo),
            outputs: mapOf(outputs, tensorInfo),
            methodName: "tensorflow/serving/predict",
          })),
        },
      ],
    })
    .finish();
}

export interface SessionOptions {
  /** Threads of one op; TensorFlow's own choice where undefined. */
  readonly threads?: number | undefined;
  /** Threads for ops side by side; -1: one op after the other on the thread that calls. */
  readonly interOpThreads?: number | undefined;
}

/**
 * A session's options, a `ConfigProto`. TensorFlow's optimizer of graphs is off: ours come optimized, and without its nodes small steps
 * are a fifth faster (docs/engines.md has the figures). Constants are folded all the same.
 */
export async function encodeConfig({ threads, interOpThreads }: SessionOptions): Promise<Uint8Array> {
  const type = await typeOf("ConfigProto");
  return type
    .encode({
      intraOpParallelismThreads: threads ?? 0,
      interOpParallelismThreads: interOpThreads ?? 0,
      graphOptions: { rewriteOptions: { disableMetaOptimizer: true } },
    })
    .finish();
}

const mapOf = <T, U>(record: Readonly<Record<string, T>>, make: (value: T) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, make(value)]));

const shapeOf = (shape: Shape): object => ({ dim: shape.map((size) => ({ size })) });

function tensorInfo({ tensor, dtype, shape }: SignaturePort): object {
  return {
    name: tensor.includes(":") ? tensor : `${tensor}:0`,
    dtype: elementTypes[dtype],
    tensorShape: shapeOf(shape),
  };
}

function nodeDef({ name, op, inputs, device = "", attributes }: TensorFlowNode): object {
  return { name, op, input: inputs, device, attr: mapOf(attributes, attributeOf) };
}

function attributeOf(value: Attribute): object {
  if ("int" in value) return { i: value.int };
  if ("float" in value) return { f: value.float };
  if ("bool" in value) return { b: value.bool };
  if ("string" in value) return { s: new TextEncoder().encode(value.string) };
  if ("type" in value) return { type: elementTypes[value.type] };
  if ("shape" in value) return { shape: shapeOf(value.shape) };
  if ("ints" in value) return { list: { i: value.ints } };
  if ("floats" in value) return { list: { f: value.floats } };
  if ("types" in value) return { list: { type: value.types.map((type) => elementTypes[type]) } };
  const { dtype, shape } = value.tensor;
  return {
    tensor: { dtype: elementTypes[dtype], tensorShape: shapeOf(shape), tensorContent: bytesOf(value.tensor) },
  };
}
