import { arrayOf, type DType } from "../../core/dtype.js";
import { bytesOf, type Tensor } from "../../core/tensor.js";
import { type Lowering, type } from "./lower/context.js";

/** The only element types that tfjs-node's binding carries in and out. */
export type EdgeType = "float32" | "int32" | "int64" | "bool";

/** What carries each dtype over the edge, without loss: the same bits of the same width, or a wider type. */
export const edgeTypes: Readonly<Record<DType, EdgeType>> = {
  float32: "float32",
  float16: "float32",
  float64: "int64",
  int8: "int32",
  uint8: "int32",
  int32: "int32",
  int64: "int64",
  bool: "bool",
};

/** The value of a dtype that came in as its edge type. */
export function decode(to: Lowering, x: string, dtype: DType): string {
  if (dtype === "float64") return to.one("Bitcast", [x], { T: type("int64"), type: type("float64") });
  return to.cast(x, edgeTypes[dtype], dtype);
}

/** The edge type's value of a dtype. */
export function encode(to: Lowering, x: string, dtype: DType): string {
  if (dtype === "float64") return to.one("Bitcast", [x], { T: type("float64"), type: type("int64") });
  return to.cast(x, dtype, edgeTypes[dtype]);
}

/** A tensor's bytes as the edge type has them. */
export function toEdge(tensor: Tensor): Uint8Array {
  const { dtype, data } = tensor;
  if (dtype === "int8" || dtype === "uint8")
    return bytesOf({ ...tensor, dtype: "int32", data: Int32Array.from(data as Int8Array) });
  if (dtype === "float16") return bytesOf({ ...tensor, dtype: "float32" } as Tensor);
  return bytesOf(tensor);
}

/** The tensor whose edge form these bytes are; it takes them over. */
export function fromEdge(dtype: DType, shape: readonly number[], buffer: ArrayBuffer): Tensor {
  if (dtype === "int8") return { dtype, shape, data: Int8Array.from(new Int32Array(buffer)) };
  if (dtype === "uint8") return { dtype, shape, data: Uint8Array.from(new Int32Array(buffer)) };
  const Class = arrayOf(dtype);
  return { dtype, shape, data: new Class(buffer) };
}
