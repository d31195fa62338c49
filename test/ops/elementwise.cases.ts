import * as flow from "onestep";
import { where } from "#src/ops/elementwise.js";
import type { Row } from "./rows.js";

const { math } = flow;
const x = { shape: [2, 3] };
const positive = { shape: [2, 3], range: [0.5, 2] } as const;
const ties = (name: string): Row["exact"] => [
  {
    inputs: [
      { shape: [3], data: [1, 2, 3] },
      { shape: [3], data: [1, 3, 2] },
    ],
    output: name === "maximum" ? [1, 3, 3] : [1, 2, 2],
    gradients:
      name === "maximum"
        ? [
            [1, 0, 1],
            [0, 1, 0],
          ]
        : [
            [1, 1, 0],
            [0, 0, 1],
          ],
  },
];
const comparison = (
  op: "equal" | "notEqual" | "less" | "lessEqual" | "greater" | "greaterEqual",
  output: readonly number[],
): Row => ({
  op,
  inputs: [
    { shape: [2, 3], dtype: "int32", range: [-1, 1] },
    { shape: [3], dtype: "int32", range: [-1, 1] },
  ],
  call: (a, b) => math[op](a, b),
  print: `%2:bool[2,3] = ${op} %0 %1\n%3:int8[2,3] = cast %2 {dtype="int8"}`,
  differentiable: false,
  exact: [
    {
      inputs: [
        { shape: [4], data: [1, 2, 3, NaN] },
        { shape: [4], data: [1, 3, 2, NaN] },
      ],
      output,
    },
    {
      inputs: [
        { shape: [3], data: [1, 2, 3], dtype: "int8" },
        { shape: [3], data: [1, 3, 2], dtype: "int8" },
      ],
      output: output.slice(0, 3),
    },
    {
      inputs: [
        { shape: [3], data: [1, 2, 3], dtype: "uint8" },
        { shape: [3], data: [1, 3, 2], dtype: "uint8" },
      ],
      output: output.slice(0, 3),
    },
    {
      inputs: [
        { shape: [3], data: [1, 2, 3], dtype: "int64" },
        { shape: [3], data: [1, 3, 2], dtype: "int64" },
      ],
      output: output.slice(0, 3),
    },
  ],
});

export const rows: readonly Row[] = [
  {
    op: "add",
    inputs: [x, { shape: [3] }],
    call: (a, b) => a.add(b),
    print: "%2:float[2,3] = add %0 %1",
    exact: [
      {
        inputs: [
          { shape: [2, 1], data: [1, 2] },
          { shape: [2], data: [10, 20] },
        ],
        output: [11, 21, 12, 22],
        gradients: [
          [2, 2],
          [2, 2],
        ],
      },
      {
        inputs: [
          { shape: [2], data: [1, 2], dtype: "int8" },
          { shape: [2], data: [3, -4], dtype: "int8" },
        ],
        output: [4, -2],
      },
      {
        inputs: [
          { shape: [2], data: [1, 2], dtype: "int64" },
          { shape: [2], data: [3, -4], dtype: "int64" },
        ],
        output: [4, -2],
      },
    ],
  },
  {
    op: "subtract",
    inputs: [{ shape: [1] }, x],
    call: (a, b) => a.sub(b),
    print: "%2:float[2,3] = subtract %0 %1",
    exact: [
      {
        inputs: [
          { shape: [1], data: [5] },
          { shape: [2], data: [1, 7] },
        ],
        output: [4, -2],
        gradients: [[2], [-1, -1]],
      },
    ],
  },
  {
    op: "multiply",
    inputs: [x, { shape: [2, 1] }],
    call: (a, b) => a.mul(b),
    print: "%2:float[2,3] = multiply %0 %1",
    exact: [
      {
        inputs: [
          { shape: [2], data: [3, -4] },
          { shape: [2], data: [0, Infinity] },
        ],
        output: [0, -Infinity],
        gradients: [
          [0, Infinity],
          [3, -4],
        ],
      },
    ],
  },
  {
    op: "divide",
    inputs: [x, positive],
    call: (a, b) => a.div(b),
    print: "%2:float[2,3] = divide %0 %1",
    exact: [
      {
        inputs: [
          { shape: [3], data: [1, -1, 0] },
          { shape: [3], data: [0, 0, 0] },
        ],
        output: [Infinity, -Infinity, NaN],
      },
      {
        inputs: [
          { shape: [3], data: [7, -7, 6], dtype: "int32" },
          { shape: [3], data: [2, 2, 3], dtype: "int32" },
        ],
        output: [3, -3, 2],
      },
    ],
  },
  {
    op: "maximum",
    inputs: [x, { shape: [3] }],
    call: (a, b) => math.maximum(a, b),
    print: "%2:float[2,3] = maximum %0 %1",
    exact: ties("maximum")!,
  },
  {
    op: "minimum",
    inputs: [x, { shape: [3] }],
    call: (a, b) => math.minimum(a, b),
    print: "%2:float[2,3] = minimum %0 %1",
    exact: ties("minimum")!,
  },
  {
    op: "square",
    inputs: [x],
    call: (a) => math.square(a),
    print: "%1:float[2,3] = multiply %0 %0",
    exact: [{ inputs: [{ shape: [2], data: [-3, 0] }], output: [9, 0], gradients: [[-6, 0]] }],
  },
  comparison("equal", [1, 0, 0, 0]),
  comparison("notEqual", [0, 1, 1, 1]),
  comparison("less", [0, 1, 0, 0]),
  comparison("lessEqual", [1, 1, 0, 0]),
  comparison("greater", [0, 0, 1, 0]),
  comparison("greaterEqual", [1, 0, 1, 0]),
  {
    op: "isFinite",
    inputs: [x],
    call: (a) => math.isFinite(a),
    print: '%1:bool[2,3] = isFinite %0\n%2:int8[2,3] = cast %1 {dtype="int8"}',
    differentiable: false,
    exact: [{ inputs: [{ shape: [5], data: [0, -1e30, NaN, Infinity, -Infinity] }], output: [1, 1, 0, 0, 0] }],
  },
  {
    op: "where",
    inputs: [{ shape: [3], dtype: "int32", range: [0, 1] }, x, { shape: [2, 1] }],
    call: (c, a, b) => where(c, a, b),
    print: '%3:bool[3] = cast %0 {dtype="bool"}\n%4:float[2,3] = where %3 %1 %2',
    exact: [
      {
        inputs: [
          { shape: [3], data: [1, 0, 2], dtype: "int32" },
          { shape: [3], data: [1, 2, 3] },
          { shape: [3], data: [NaN, 5, NaN] },
        ],
        output: [1, 5, 3],
        gradients: [null, [1, 0, 1], [0, 1, 0]],
      },
      {
        inputs: [
          { shape: [2], data: [1, 0], dtype: "int8" },
          { shape: [2], data: [1, 2], dtype: "int8" },
          { shape: [2], data: [3, 4], dtype: "int8" },
        ],
        output: [1, 4],
      },
    ],
  },
  {
    op: "cast",
    inputs: [{ shape: [2, 3], dtype: "float32" }],
    call: (a) => flow.cast(a, "float64"),
    print: '%1:float64[2,3] = cast %0 {dtype="float64"}',
    exact: [{ inputs: [{ shape: [3], data: [-3, 0, 7], dtype: "int32" }], output: [-3, 0, 7] }],
  },
  {
    op: "cast",
    inputs: [{ shape: [2, 3], range: [-9, 9] }],
    call: (a) => flow.cast(a, "int32"),
    print: '%1:int32[2,3] = cast %0 {dtype="int32"}',
    differentiable: false,
    exact: [{ inputs: [{ shape: [4], data: [1.9, -1.9, 0.5, -0.5] }], output: [1, -1, 0, 0] }],
  },
  {
    op: "cast",
    inputs: [{ shape: [2, 3], range: [0, 9] }],
    call: (a) => flow.cast(a, "uint8"),
    print: '%1:uint8[2,3] = cast %0 {dtype="uint8"}',
    differentiable: false,
  },
];
