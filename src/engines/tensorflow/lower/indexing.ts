import { bool, type Emitters, int, through, type } from "./context.js";

export const indexing = {
  argmax: (to, [x], { axis }, [out], node) => {
    const found = to.one("ArgMax", [x!, to.scalar("int32", axis)], {
      T: type(node.inputs[0]!.dtype),
      Tidx: type("int32"),
      output_type: type("int32"),
    });
    return to.reshape(found, "int32", out!.shape);
  },
  equalGroups: (to, [ids], _, __, node) =>
    to.nodeOf(
      "Unique",
      [to.cast(ids!, node.inputs[0]!.dtype, "int64")],
      { T: type("int64"), out_idx: type("int32") },
      { outputs: 2 },
    )[1]!,
  gather: (to, [params, indices], { axis }, [out], node) => {
    const { dtype } = node.inputs[1]!;
    const index = dtype === "int64" ? indices! : to.cast(indices!, dtype, "int32");
    return to.one("GatherV2", [params!, index, to.scalar("int32", axis)], {
      Tparams: type(out!.dtype),
      Tindices: type(dtype === "int64" ? "int64" : "int32"),
      Taxis: type("int32"),
      batch_dims: int(0),
    });
  },
  replaceRows: (to, [table, ids, rows], _, [out], node) => {
    const { dtype, shape } = node.inputs[1]!;
    const index = to.reshape(to.cast(ids!, dtype, "int64"), "int64", [...shape, 1]);
    return to.one("TensorScatterUpdate", [table!, index, rows!], { T: type(out!.dtype), Tindices: type("int64") });
  },
  segmentSum: (to, [data, ids], { segments }, [out], node) =>
    to.one("UnsortedSegmentSum", [data!, to.cast(ids!, node.inputs[1]!.dtype, "int64"), to.scalar("int32", segments)], {
      T: type(out!.dtype),
      Tindices: type("int64"),
      Tnumsegments: type("int32"),
    }),
  topK: through(
    "int32",
    (to, [x]: readonly string[], { k }: { readonly k: number }, _, node) =>
      to.nodeOf(
        "TopKV2",
        [x!, to.scalar("int32", k)],
        { T: type(node.inputs[0]!.dtype), sorted: bool(true) },
        { outputs: 2 },
      )[1]!,
    ["int8", "uint8"],
  ),
} satisfies Partial<Emitters>;
