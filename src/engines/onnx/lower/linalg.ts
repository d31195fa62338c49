import { type Emitters, int, ints, type Lowering } from "./context.js";

export const linalg = {
  matmul: (to, [a, b], { transposeA, transposeB }, [type], node) => {
    const rank = type!.shape.length;
    if (rank === 2) return to.one("Gemm", [a!, b!], { transA: int(transposeA), transB: int(transposeB) });
    if (!transposeA && !transposeB) return to.one("MatMul", [a!, b!]);
    // FusedMatMul reads transposed operands in place; it exists for float32 only.
    if (node.inputs[0]!.dtype === "float32" && !to.portable)
      return to.one("FusedMatMul", [a!, b!], { transA: int(transposeA), transB: int(transposeB) }, "com.microsoft");
    return to.one("MatMul", [transposeA ? swapLast(to, a!, rank) : a!, transposeB ? swapLast(to, b!, rank) : b!]);
  },
} satisfies Partial<Emitters>;

function swapLast(to: Lowering, x: string, rank: number): string {
  const perm = Array.from({ length: rank }, (_, axis) => axis);
  [perm[rank - 2], perm[rank - 1]] = [rank - 1, rank - 2];
  return to.one("Transpose", [x], { perm: ints(perm) });
}
