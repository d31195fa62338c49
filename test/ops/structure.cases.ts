import * as flow from "onestep";
import { iota } from "#src/ops/sources.js";
import { later, observe } from "#src/ops/structure.js";
import type { Row } from "./rows.js";

const x = { shape: [2, 3, 2] };

export const rows: readonly Row[] = [
  {
    op: "reshapeLike",
    inputs: [{ shape: [2, 3] }, { shape: [3, 2], dtype: "int32" }],
    call: (a, like) => flow.reshapeLike(a, like),
    print: "%2:float[3,2] = reshape %0 {shape=[3,2]}",
  },
  {
    op: "dynamicReshape",
    inputs: [{ shape: [2, 3] }],
    call: (a) => flow.dynamicReshape(a, [-1, 2]),
    print: "%1:float[3,2] = reshape %0 {shape=[3,2]}",
  },
  {
    op: "identityN",
    inputs: [{ shape: [2] }, { shape: [1, 2] }],
    call: (...all) => flow.math.add(...(flow.identityN(all) as [flow.Blob, flow.Blob])),
    print: `%2:float[2] = identity %0
%3:float[1,2] = identity %1
%4:float[1,2] = add %2 %3`,
  },
  {
    op: "broadcastToCompatibleWith",
    inputs: [{ shape: [2, 1] }, { shape: [3], dtype: "int32" }, { shape: [4, 1, 1], dtype: "int8" }],
    call: (a, b, c) => flow.broadcastToCompatibleWith(a, [b, c]),
    print: "%3:float[4,2,3] = broadcastTo %0 {shape=[4,2,3]}",
    exact: [
      {
        inputs: [
          { shape: [1], data: [5], dtype: "int8" },
          { shape: [2], data: [0, 0], dtype: "int8" },
          { shape: [1], data: [0], dtype: "int8" },
        ],
        output: [5, 5],
      },
    ],
  },
  {
    op: "reshape",
    inputs: [x],
    call: (a) => flow.reshape(a, [4, -1]),
    print: "%1:float[4,3] = reshape %0 {shape=[4,3]}",
  },
  {
    op: "transpose",
    inputs: [x],
    call: (a) => flow.transpose(a, { perm: [2, 0, 1] }),
    print: "%1:float[2,2,3] = transpose %0 {perm=[2,0,1]}",
    exact: [{ inputs: [{ shape: [2, 3], data: [1, 2, 3, 4, 5, 6] }], output: [1, 2, 3, 4, 5, 6] }].slice(1),
  },
  {
    op: "transpose",
    inputs: [{ shape: [2, 3] }],
    call: (a) => flow.transpose(a, { perm: [1, 0] }),
    print: "%1:float[3,2] = transpose %0 {perm=[1,0]}",
    exact: [{ inputs: [{ shape: [2, 3], data: [1, 2, 3, 4, 5, 6] }], output: [1, 4, 2, 5, 3, 6] }],
  },
  {
    op: "broadcastTo",
    inputs: [{ shape: [3, 1] }],
    call: (a) => flow.broadcastTo(a, [2, 3, 2]),
    print: "%1:float[2,3,2] = broadcastTo %0 {shape=[2,3,2]}",
    exact: [
      {
        inputs: [{ shape: [3, 1], data: [1, 2, 3] }],
        output: [1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3],
        gradients: [[4, 4, 4]],
      },
    ],
  },
  {
    op: "observe",
    inputs: [{ shape: [2, 3] }],
    call: (a) => observe(a),
    print: "%1:float[2,3] = observe %0",
  },
  {
    op: "later",
    // Of the second only the time counts: it has no derivative.
    inputs: [x, { shape: [3], dtype: "int32" }],
    call: (a, dy) => later(a, dy),
    print: "%2:float[2,3,2] = later %0 %1",
  },
  {
    op: "identity",
    inputs: [x],
    call: (a) => flow.identity(a),
    print: "%1:float[2,3,2] = identity %0",
  },
  {
    op: "squeeze",
    inputs: [{ shape: [1, 3, 1] }],
    call: (a) => flow.squeeze(a, { axis: [-1] }),
    print: "%1:float[1,3] = reshape %0 {shape=[1,3]}",
  },
  {
    op: "squeeze",
    inputs: [{ shape: [1, 1] }],
    call: (a) => flow.squeeze(a),
    print: "%1:float[1] = reshape %0 {shape=[1]}",
  },
  {
    op: "expandDims",
    inputs: [{ shape: [2, 3] }],
    call: (a) => flow.expandDims(a, -2),
    print: "%1:float[2,1,3] = reshape %0 {shape=[2,1,3]}",
  },
  {
    op: "broadcastLike",
    inputs: [{ shape: [3] }, { shape: [2, 3, 4] }],
    call: (a, like) => flow.broadcastLike(a, like, { broadcastAxes: [0, 2] }).add(like.mul(0)),
    print: `%2:float[1,3,1] = reshape %0 {shape=[1,3,1]}
%3:float[2,3,4] = broadcastTo %2 {shape=[2,3,4]}
%4:float[1] = constant {value=0, dtype="float", shape=[1]}
%5:float[2,3,4] = multiply %1 %4
%6:float[2,3,4] = add %3 %5`,
  },
  {
    op: "tile",
    inputs: [{ shape: [2, 3] }],
    call: (a) => flow.tile(a, [2, 1]),
    print: `%1:float[1,2,1,3] = reshape %0 {shape=[1,2,1,3]}
%2:float[2,2,1,3] = broadcastTo %1 {shape=[2,2,1,3]}
%3:float[4,3] = reshape %2 {shape=[4,3]}`,
    exact: [{ inputs: [{ shape: [1, 2], data: [1, 2] }], output: [1, 2, 1, 2], gradients: [[2, 2]] }],
  },
  {
    op: "constant",
    inputs: [{ shape: [2] }],
    call: (a) => a.mul(flow.onesLike(a)).add(flow.constantLike(a, 3)).sub(flow.zerosLike(a)),
    print: `%1:float[2] = constant {value=1, dtype="float", shape=[2]}
%2:float[2] = multiply %0 %1
%3:float[2] = constant {value=3, dtype="float", shape=[2]}
%4:float[2] = add %2 %3
%5:float[2] = constant {value=0, dtype="float", shape=[2]}
%6:float[2] = subtract %4 %5`,
  },
  {
    op: "constant",
    inputs: [{ shape: [2] }],
    call: (a) => a.add(flow.constant(2.5, { dtype: a.dtype, shape: [2, 2] })),
    print: '%1:float[2,2] = constant {value=2.5, dtype="float", shape=[2,2]}\n%2:float[2,2] = add %0 %1',
    exact: [{ inputs: [{ shape: [2], data: [1, 2] }], output: [3.5, 4.5, 3.5, 4.5] }],
  },
  {
    op: "iota",
    inputs: [{ shape: [2, 3] }],
    call: (a) => a.mul(iota([2, 3], 1, a.dtype)),
    print: '%1:float[2,3] = iota {shape=[2,3], axis=1, dtype="float"}\n%2:float[2,3] = multiply %0 %1',
    exact: [{ inputs: [{ shape: [2, 3], data: [1, 1, 1, 1, 1, 1] }], output: [0, 1, 2, 0, 1, 2] }],
  },
];
