import * as flow from "onestep";
import type { Row } from "./rows.js";

const x = { shape: [2, 3, 4] };
const v4 = { shape: [4], data: [1, 2, 3, 4] };

export const rows: readonly Row[] = [
  {
    op: "concat",
    inputs: [{ shape: [2, 3] }, { shape: [2, 1] }, { shape: [2, 2] }],
    call: (...all) => flow.concat(all, { axis: -1 }),
    print: "%3:float[2,6] = concat %0 %1 %2 {axis=1}",
  },
  {
    op: "concat",
    inputs: [{ shape: [1, 3] }, { shape: [2, 3] }],
    call: (...all) => flow.concat(all),
    print: "%2:float[3,3] = concat %0 %1 {axis=0}",
    exact: [
      {
        inputs: [
          { shape: [1], data: [1], dtype: "int8" },
          { shape: [2], data: [2, 3], dtype: "int8" },
        ],
        output: [1, 2, 3],
      },
    ],
  },
  {
    op: "stack",
    inputs: [{ shape: [2, 3] }, { shape: [2, 3] }],
    call: (...all) => flow.stack(all, 1),
    print: `%2:float[2,1,3] = reshape %0 {shape=[2,1,3]}
%3:float[2,1,3] = reshape %1 {shape=[2,1,3]}
%4:float[2,2,3] = concat %2 %3 {axis=1}`,
  },
  {
    op: "slice",
    inputs: [x],
    call: (a) => flow.slice(a, [null, 1, -2], [1, -1, 2]),
    print: "%1:float[1,2,2] = slice %0 {starts=[0,1,2], sizes=[1,2,2], steps=[1,1,1]}",
  },
  {
    op: "slice",
    inputs: [x],
    call: (a) =>
      flow.sliceV2(a, [
        [null, null, -1],
        [0, 3, 2],
      ]),
    print: "%1:float[2,2,4] = slice %0 {starts=[1,0,0], sizes=[2,2,4], steps=[-1,2,1]}",
  },
  {
    op: "slice",
    inputs: [{ shape: [7] }],
    call: (a) => flow.sliceV2(a, [[-1, null, -3]]),
    print: "%1:float[3] = slice %0 {starts=[6], sizes=[3], steps=[-3]}",
    exact: [
      { inputs: [{ shape: [7], data: [0, 1, 2, 3, 4, 5, 6] }], output: [6, 3, 0], gradients: [[1, 0, 0, 1, 0, 0, 1]] },
    ],
  },
  {
    op: "slice",
    inputs: [{ shape: [7] }],
    call: (a) => flow.sliceV2(a, [[1, -1, 2]]),
    print: "%1:float[3] = slice %0 {starts=[1], sizes=[3], steps=[2]}",
    exact: [
      { inputs: [{ shape: [7], data: [0, 1, 2, 3, 4, 5, 6] }], output: [1, 3, 5], gradients: [[0, 1, 0, 1, 0, 1, 0]] },
      { inputs: [{ shape: [7], data: [0, 1, 2, 3, 4, 5, 6], dtype: "int64" }], output: [1, 3, 5] },
    ],
  },
  {
    op: "reverse",
    inputs: [{ shape: [2, 2] }],
    call: (a) => flow.reverse(a, [0, 1]),
    print: "%1:float[2,2] = slice %0 {starts=[1,1], sizes=[2,2], steps=[-1,-1]}",
    exact: [{ inputs: [{ shape: [2, 2], data: [1, 2, 3, 4] }], output: [4, 3, 2, 1] }],
  },
  {
    op: "pad",
    inputs: [{ shape: [2, 3] }],
    call: (a) =>
      flow.pad(a, [
        [1, 0],
        [0, 2],
      ]),
    print: "%1:float[3,5] = pad %0 {before=[1,0], after=[0,2], value=0}",
  },
  {
    op: "pad",
    inputs: [{ shape: [4] }],
    call: (a) => flow.pad(a, [[1, 2]], { constantValue: 7 }),
    print: "%1:float[7] = pad %0 {before=[1], after=[2], value=7}",
    exact: [
      { inputs: [v4], output: [7, 1, 2, 3, 4, 7, 7], gradients: [[1, 1, 1, 1]] },
      { inputs: [{ ...v4, dtype: "int64" }], output: [7, 1, 2, 3, 4, 7, 7] },
      { inputs: [{ ...v4, dtype: "int8" }], output: [7, 1, 2, 3, 4, 7, 7] },
    ],
  },
  {
    op: "pad",
    inputs: [{ shape: [1, 2, 1, 2] }],
    call: (a) =>
      flow
        .pad(
          a,
          [
            [0, 0],
            [0, 0],
            [1, 1],
            [0, 3],
          ],
          { constantValue: -Infinity },
        )
        .mul(0)
        .add(1),
    print: `%1:float[1,2,3,5] = pad %0 {before=[0,0,1,0], after=[0,0,1,3], value="-Infinity"}
%2:float[1] = constant {value=0, dtype="float", shape=[1]}
%3:float[1,2,3,5] = multiply %1 %2
%4:float[1] = constant {value=1, dtype="float", shape=[1]}
%5:float[1,2,3,5] = add %3 %4`,
    differentiable: false,
  },
];
