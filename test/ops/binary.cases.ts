import * as flow from "onestep";
import type { Exact, Row } from "./rows.js";

const { math } = flow;
const inf = Infinity;
const x = { shape: [2, 3] };
const positive = { shape: [2, 3], range: [0.5, 2] } as const;
const vector = (...data: number[]): Exact["inputs"][number] => ({ shape: [data.length], data });
const integers = (...data: number[]): Exact["inputs"][number] => ({ ...vector(...data), dtype: "int32" });

export const rows: readonly Row[] = [
  {
    op: "pow",
    inputs: [positive, x],
    call: (a, b) => math.pow(a, b),
    print: "%2:float[2,3] = pow %0 %1",
    exact: [
      { inputs: [vector(2, -2, 4, 0, NaN, 3), vector(3, 3, 0.5, 0, 0, NaN)], output: [8, -8, 2, 1, 1, NaN] },
      { inputs: [integers(2, -3), integers(10, 3)], output: [1024, -27] },
      {
        inputs: [vector(-2, 0, 0), vector(2, 2, 0)],
        gradients: [
          [-4, 0, 0],
          [0, 0, 0],
        ],
      },
    ],
  },
  {
    op: "pow",
    inputs: [{ shape: [2, 1], range: [0.5, 2] }, { shape: [3] }],
    call: (a, b) => math.pow(a, b),
    print: "%2:float[2,3] = pow %0 %1",
  },
  {
    op: "floordiv",
    inputs: [{ shape: [2, 3] }, { shape: [3], range: [0.5, 2] }],
    call: (a, b) => math.floordiv(a, b),
    print: "%2:float[2,3] = floordiv %0 %1",
    differentiable: false,
    exact: [
      { inputs: [vector(7, -7, 7, -7, 1, NaN), vector(2, 2, -2, -2, 0, 1)], output: [3, -4, -4, 3, inf, NaN] },
      { inputs: [integers(7, -7, 7, -7, -6), integers(2, 2, -2, -2, 2)], output: [3, -4, -4, 3, -3] },
    ],
  },
  {
    op: "mod",
    inputs: [x, { shape: [3], range: [2.5, 3] }],
    call: (a, b) => math.mod(a, b),
    print: "%2:float[2,3] = mod %0 %1",
    exact: [
      { inputs: [vector(7, -7, 7, -7, -6, NaN), vector(4, 4, -4, -4, 3, 1)], output: [3, 1, -1, -3, 0, NaN] },
      { inputs: [integers(7, -7, 7, -7), integers(4, 4, -4, -4)], output: [3, 1, -1, -3] },
      {
        inputs: [
          { ...vector(7, -7), dtype: "int8" },
          { ...vector(4, 4), dtype: "int8" },
        ],
        output: [3, 1],
      },
    ],
  },
  {
    op: "atan2",
    inputs: [x, positive],
    call: (a, b) => math.atan2(a, b),
    print: "%2:float[2,3] = atan2 %0 %1",
    exact: [
      { inputs: [vector(0, 0, NaN), vector(2, 0, 1)], output: [0, 0, NaN] },
      {
        inputs: [vector(2, 0), vector(0, 4)],
        gradients: [
          [0, 0.25],
          [-0.5, 0],
        ],
      },
    ],
  },
  {
    op: "atan2",
    inputs: [{ shape: [2, 1] }, { shape: [3], range: [-2, -0.5] }],
    call: (a, b) => math.atan2(a, b),
    print: "%2:float[2,3] = atan2 %0 %1",
  },
  {
    op: "xdivy",
    inputs: [x, positive],
    call: (a, b) => math.xdivy(a, b),
    print: "%2:float[2,3] = xdivy %0 %1",
    exact: [
      { inputs: [vector(0, 1, 0, 3), vector(0, 0, NaN, 2)], output: [0, inf, 0, 1.5] },
      {
        inputs: [vector(0, 3), vector(0, 2)],
        gradients: [
          [0, 0.5],
          [0, -0.75],
        ],
      },
    ],
  },
  {
    op: "xlogy",
    inputs: [x, positive],
    call: (a, b) => math.xlogy(a, b),
    print: "%2:float[2,3] = xlogy %0 %1",
    exact: [
      { inputs: [vector(0, 2, 0, 3), vector(0, 0, NaN, 1)], output: [0, -inf, 0, 0] },
      {
        inputs: [vector(0, 3), vector(0, 1)],
        gradients: [
          [0, 0],
          [0, 3],
        ],
      },
    ],
  },
  {
    op: "squaredDifference",
    inputs: [{ shape: [2, 1] }, { shape: [3] }],
    call: (a, b) => math.squaredDifference(a, b),
    print: "%2:float[2,3] = subtract %0 %1\n%3:float[2,3] = multiply %2 %2",
    exact: [
      {
        inputs: [vector(1, 5), vector(3, 2)],
        output: [4, 9],
        gradients: [
          [-4, 6],
          [4, -6],
        ],
      },
    ],
  },
  {
    op: "addN",
    inputs: [x, x, x],
    call: (...all) => math.addN(all),
    print: "%3:float[2,3] = add %0 %1\n%4:float[2,3] = add %3 %2",
    exact: [{ inputs: [vector(1), vector(2), vector(4)], output: [7], gradients: [[1], [1], [1]] }],
  },
  {
    op: "clipByValue",
    inputs: [x],
    call: (a) => math.clipByValue(a, { minValue: -1, maxValue: 1 }),
    print: `%1:float[1] = constant {value=-1, dtype="float", shape=[1]}
%2:float[2,3] = maximum %0 %1
%3:float[1] = constant {value=1, dtype="float", shape=[1]}
%4:float[2,3] = minimum %2 %3`,
    exact: [
      { inputs: [vector(-2, -1, 0, 1, 2)], output: [-1, -1, 0, 1, 1], gradients: [[0, 1, 1, 1, 0]] },
      { inputs: [vector(-inf, inf, NaN)], output: [-1, 1, NaN] },
    ],
  },
  {
    op: "clipByValue",
    inputs: [x],
    call: (a) => math.clip(a, { maxValue: 1 }),
    print: `%1:float[1] = constant {value=1, dtype="float", shape=[1]}
%2:float[2,3] = minimum %0 %1`,
    exact: [{ inputs: [vector(-2, 1, 2)], output: [-2, 1, 1], gradients: [[1, 1, 0]] }],
  },
  {
    op: "logicalAnd",
    inputs: [
      { shape: [2, 1], dtype: "int8", range: [0, 1] },
      { shape: [3], dtype: "int8", range: [0, 1] },
    ],
    call: (a, b) => math.logicalAnd(a, b),
    print: `%2:int8[1] = constant {value=0, dtype="int8", shape=[1]}
%3:bool[2,1] = notEqual %0 %2
%4:int8[2,1] = cast %3 {dtype="int8"}
%5:int8[1] = constant {value=0, dtype="int8", shape=[1]}
%6:bool[3] = notEqual %1 %5
%7:int8[3] = cast %6 {dtype="int8"}
%8:int8[2,3] = multiply %4 %7`,
    differentiable: false,
    exact: [{ inputs: [vector(0, 0, 2, -3), vector(0, 1, 0, 0.5)], output: [0, 0, 0, 1] }],
  },
];
