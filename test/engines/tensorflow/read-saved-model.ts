import protobuf from "protobufjs";

// The messages of TensorFlow's protocol files, as far as they are looked at here.
const types = protobuf.parse(`
  syntax = "proto3";
  message SavedModel { int64 saved_model_schema_version = 1; repeated MetaGraphDef meta_graphs = 2; }
  message MetaGraphDef { MetaInfoDef meta_info_def = 1; GraphDef graph_def = 2; map<string, SignatureDef> signature_def = 5; }
  message MetaInfoDef { repeated string tags = 4; }
  message GraphDef { repeated NodeDef node = 1; }
  message NodeDef { string name = 1; string op = 2; string device = 4; }
  message SignatureDef { map<string, TensorInfo> inputs = 1; map<string, TensorInfo> outputs = 2; string method_name = 3; }
  message TensorInfo { string name = 1; int32 dtype = 2; TensorShapeProto tensor_shape = 3; }
  message TensorShapeProto { repeated Dim dim = 2; }
  message Dim { int64 size = 1; }
`).root;

export interface Info {
  readonly name: string;
  readonly dtype: number;
  readonly tensorShape: { readonly dim: readonly { readonly size: number }[] };
}
interface Signature {
  readonly inputs: Readonly<Record<string, Info>>;
  readonly outputs: Readonly<Record<string, Info>>;
  readonly methodName: string;
}

/** Tags, nodes and signatures of the bytes of a `saved_model.pb`. */
export function readSavedModel(bytes: Uint8Array) {
  const type = types.lookupType("SavedModel");
  const message = type.toObject(type.decode(bytes), { longs: Number }) as {
    readonly metaGraphs: readonly {
      readonly metaInfoDef: { readonly tags: readonly string[] };
      readonly graphDef: {
        readonly node: readonly { readonly name: string; readonly op: string; readonly device?: string }[];
      };
      readonly signatureDef: Readonly<Record<string, Signature>>;
    }[];
  };
  const [graph] = message.metaGraphs;
  return { tags: graph!.metaInfoDef.tags, nodes: graph!.graphDef.node, signatures: graph!.signatureDef };
}
