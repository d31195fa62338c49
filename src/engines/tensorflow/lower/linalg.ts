import { bool, type Emitters, through, type } from "./context.js";

export const linalg = {
  matmul: through(
    "int32",
    (
      to,
      [a, b]: readonly string[],
      { transposeA, transposeB }: { transposeA: boolean; transposeB: boolean },
      [out],
    ) => {
      const T = type(out!.dtype);
      return out!.shape.length === 2
        ? to.one("MatMul", [a!, b!], { T, transpose_a: bool(transposeA), transpose_b: bool(transposeB) })
        : to.one("BatchMatMulV2", [a!, b!], { T, adj_x: bool(transposeA), adj_y: bool(transposeB) });
    },
    ["int8", "uint8"],
  ),
} satisfies Partial<Emitters>;
