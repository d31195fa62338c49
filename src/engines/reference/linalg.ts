import type { Rows } from "./table.js";

export const linalg = {
  matmul: ([a, b], { transposeA, transposeB }, [type]) => {
    const [m, n] = type!.shape.slice(-2) as [number, number];
    const k = a!.shape.at(transposeA ? -2 : -1)!;
    const result = new Float64Array(type!.shape.reduce((product, d) => product * d, 1));
    const [aRow, aColumn] = transposeA ? [1, m] : [k, 1];
    const [bRow, bColumn] = transposeB ? [1, k] : [n, 1];
    for (let batch = 0; batch < result.length / (m * n); batch++) {
      for (let i = 0; i < m; i++) {
        const row = result.subarray((batch * m + i) * n, (batch * m + i + 1) * n);
        for (let p = 0; p < k; p++) {
          const value = a!.data[batch * m * k + i * aRow + p * aColumn]!;
          const offset = batch * k * n + p * bRow;
          for (let j = 0; j < n; j++) row[j]! += value * b!.data[offset + j * bColumn]!;
        }
      }
    }
    return result;
  },
} satisfies Partial<Rows>;
