import * as flow from "onestep";
import type { Row } from "./rows.js";

const product = (transposeA: boolean, transposeB: boolean, batch: readonly number[] = []): Row => ({
  op: "matmul",
  inputs: [
    { shape: [...batch, ...(transposeA ? [4, 2] : [2, 4])] },
    { shape: [...batch, ...(transposeB ? [3, 4] : [4, 3])] },
  ],
  call: (a, b) => flow.matmul(a, b, { transposeA, transposeB }),
  print: `%2:float[${[...batch, 2, 3].join(",")}] = matmul %0 %1 {transposeA=${transposeA}, transposeB=${transposeB}}`,
});

export const rows: readonly Row[] = [
  ...[[], [2], [2, 3]].flatMap((batch) => [
    product(false, false, batch),
    product(true, false, batch),
    product(false, true, batch),
    product(true, true, batch),
  ]),
  {
    op: "matmul",
    inputs: [{ shape: [2, 2] }, { shape: [2, 1] }],
    call: (a, b) => flow.matmul(a, b),
    print: "%2:float[2,1] = matmul %0 %1 {transposeA=false, transposeB=false}",
    exact: [
      {
        inputs: [
          { shape: [2, 2], data: [1, 2, 3, 4] },
          { shape: [2, 1], data: [5, 6] },
        ],
        output: [17, 39],
        gradients: [
          [5, 6, 5, 6],
          [4, 6],
        ],
      },
    ],
  },
  {
    op: "biasAdd",
    inputs: [{ shape: [2, 3] }, { shape: [3] }],
    call: (a, b) => flow.nn.biasAdd(a, b),
    print: "%2:float[2,3] = add %0 %1",
  },
  {
    op: "biasAdd",
    inputs: [{ shape: [2, 3, 2, 2] }, { shape: [3] }],
    call: (a, b) => flow.nn.biasAdd(a, b, { dataFormat: "NCHW" }),
    print: "%2:float[3,1,1] = reshape %1 {shape=[3,1,1]}\n%3:float[2,3,2,2] = add %0 %2",
  },
];
