import * as flow from "onestep";
import { ops } from "#src/ops/index.js";
import type { Row } from "./rows.js";

const { math } = flow;
const inf = Infinity;

/** A unary op without attributes: the range it is defined on, and exact values and slopes. */
interface Unary {
  readonly op: keyof typeof ops & keyof typeof math;
  readonly range?: readonly [number, number];
  /** Input and output; exact on every engine. */
  readonly values: Readonly<Record<string, number>>;
  /** Input and slope. */
  readonly slopes?: Readonly<Record<string, number>>;
}

const table: readonly Unary[] = [
  { op: "abs", values: { "-2": 2, 0: 0, "-Infinity": inf, NaN }, slopes: { "-2": -1, 0: 0, 3: 1 } },
  { op: "acos", range: [-0.9, 0.9], values: { 1: 0, 2: NaN, NaN } },
  { op: "acosh", range: [1.1, 3], values: { 1: 0, 0: NaN, Infinity: inf, NaN } },
  { op: "asin", range: [-0.9, 0.9], values: { 0: 0, 2: NaN, NaN }, slopes: { 0: 1 } },
  { op: "asinh", values: { 0: 0, Infinity: inf, "-Infinity": -inf, NaN }, slopes: { 0: 1 } },
  { op: "atan", values: { 0: 0, NaN }, slopes: { 0: 1, Infinity: 0 } },
  { op: "atanh", range: [-0.9, 0.9], values: { 0: 0, 1: inf, "-1": -inf, 2: NaN, NaN }, slopes: { 0: 1 } },
  { op: "ceil", values: { "-1.5": -1, 1.25: 2, 3: 3, Infinity: inf, NaN } },
  { op: "cos", values: { 0: 1, Infinity: NaN, NaN }, slopes: { 0: 0 } },
  { op: "cosh", values: { 0: 1, "-Infinity": inf, Infinity: inf, NaN }, slopes: { 0: 0 } },
  { op: "erf", values: { 0: 0, 9: 1, "-9": -1, Infinity: 1, "-Infinity": -1, NaN } },
  { op: "erfc", values: { 0: 1, "-9": 2, Infinity: 0, "-Infinity": 2, NaN } },
  { op: "exp", values: { 0: 1, "-Infinity": 0, Infinity: inf, NaN } },
  { op: "expm1", values: { 0: 0, [2 ** -70]: 2 ** -70, "-Infinity": -1, Infinity: inf, NaN }, slopes: { 0: 1 } },
  { op: "floor", values: { "-1.5": -2, 1.25: 1, 3: 3, "-Infinity": -inf, NaN } },
  { op: "gelu", values: { 0: 0, 100: 100, "-100": 0, Infinity: inf, NaN }, slopes: { 0: 0.5, 100: 1, "-100": 0 } },
  { op: "lgamma", range: [0.2, 4], values: { 0: inf, "-2": inf, Infinity: inf, NaN } },
  { op: "log", range: [0.5, 2], values: { 1: 0, 0: -inf, "-1": NaN, Infinity: inf, NaN } },
  { op: "log1p", range: [-0.5, 2], values: { 0: 0, [2 ** -70]: 2 ** -70, "-1": -inf, Infinity: inf, NaN } },
  { op: "negative", values: { 2: -2, "-Infinity": inf, NaN }, slopes: { 0: -1 } },
  { op: "relu", values: { "-2": 0, 0: 0, 3: 3, "-Infinity": 0, Infinity: inf, NaN }, slopes: { "-2": 0, 0: 0, 3: 1 } },
  { op: "round", values: { 0.5: 0, 1.5: 2, 2.5: 2, "-0.5": 0, "-1.5": -2, 0.75: 1, Infinity: inf, NaN } },
  { op: "sigmoid", values: { 0: 0.5, 100: 1, Infinity: 1, "-Infinity": 0, NaN }, slopes: { 0: 0.25, 100: 0 } },
  { op: "sign", values: { "-2": -1, 0: 0, 3: 1, Infinity: 1, "-Infinity": -1 } },
  { op: "sin", values: { 0: 0, Infinity: NaN, NaN }, slopes: { 0: 1 } },
  { op: "sinh", values: { 0: 0, Infinity: inf, "-Infinity": -inf, NaN }, slopes: { 0: 1 } },
  {
    op: "softplus",
    values: { 100: 100, "-1000": 0, Infinity: inf, "-Infinity": 0, NaN },
    slopes: { 0: 0.5, 1000: 1, "-1000": 0 },
  },
  { op: "sqrt", range: [0.5, 2], values: { 0: 0, 4: 2, "-1": NaN, Infinity: inf, NaN }, slopes: { 4: 0.25 } },
  { op: "tan", range: [-1.2, 1.2], values: { 0: 0, Infinity: NaN, NaN }, slopes: { 0: 1 } },
  { op: "tanh", values: { 0: 0, 100: 1, Infinity: 1, "-Infinity": -1, NaN }, slopes: { 0: 1, 100: 0 } },
];

export const rows: readonly Row[] = [
  ...table.map(({ op, range, values, slopes }): Row => {
    const differentiable = ops[op].grad !== "stop";
    const of = (map: Readonly<Record<string, number>>) => ({
      shape: [Object.keys(map).length],
      data: Object.keys(map).map(Number),
    });
    return {
      op,
      inputs: [{ shape: [2, 3], ...(range === undefined ? {} : { range }) }],
      call: (a) => (math[op] as (x: flow.Blob) => flow.Blob)(a),
      print: `%1:float[2,3] = ${op} %0`,
      differentiable,
      exact: [
        { inputs: [of(values)], output: Object.values(values) },
        ...(slopes === undefined
          ? []
          : [{ inputs: [of(slopes)], output: undefined, gradients: [Object.values(slopes)] }]),
      ],
    };
  }),
  {
    op: "leakyRelu",
    inputs: [{ shape: [2, 3] }],
    call: (a) => flow.nn.leakyRelu(a),
    print: "%1:float[2,3] = leakyRelu %0 {alpha=0.2}",
  },
  {
    op: "leakyRelu",
    inputs: [{ shape: [2, 3] }],
    call: (a) => flow.nn.leakyRelu(a, { alpha: 0.25 }),
    print: "%1:float[2,3] = leakyRelu %0 {alpha=0.25}",
    exact: [
      {
        inputs: [{ shape: [6], data: [-4, 0, 4, inf, -inf, NaN] }],
        output: [-1, 0, 4, inf, -inf, NaN],
      },
      { inputs: [{ shape: [3], data: [-4, 0, 4] }], output: [-1, 0, 4], gradients: [[0.25, 0.25, 1]] },
    ],
  },
  {
    op: "reciprocalNoNan",
    inputs: [{ shape: [2, 3], range: [0.5, 2] }],
    call: (a) => math.reciprocalNoNan(a),
    print: `%1:float[1] = constant {value=0, dtype="float", shape=[1]}
%2:bool[2,3] = equal %0 %1
%3:float[1] = constant {value=1, dtype="float", shape=[1]}
%4:float[2,3] = where %2 %3 %0
%5:float[1] = constant {value=1, dtype="float", shape=[1]}
%6:float[2,3] = divide %5 %4
%7:float[1] = constant {value=0, dtype="float", shape=[1]}
%8:float[2,3] = where %2 %7 %6`,
    exact: [{ inputs: [{ shape: [3], data: [0, 2, -4] }], output: [0, 0.5, -0.25], gradients: [[0, -0.25, -0.0625]] }],
  },
  {
    op: "rsqrt",
    inputs: [{ shape: [2, 3], range: [0.5, 2] }],
    call: (a) => math.rsqrt(a),
    print: `%1:float[2,3] = sqrt %0
%2:float[1] = constant {value=1, dtype="float", shape=[1]}
%3:float[2,3] = divide %2 %1`,
    exact: [{ inputs: [{ shape: [3], data: [0, 4, inf] }], output: [inf, 0.5, 0] }],
  },
  {
    op: "reciprocal",
    inputs: [{ shape: [2, 3], range: [0.5, 2] }],
    call: (a) => math.reciprocal(a),
    print: `%1:float[1] = constant {value=1, dtype="float", shape=[1]}
%2:float[2,3] = divide %1 %0`,
    exact: [{ inputs: [{ shape: [3], data: [0, 4, inf] }], output: [inf, 0.25, 0] }],
  },
  {
    op: "logSigmoid",
    inputs: [{ shape: [2, 3] }],
    call: (a) => math.logSigmoid(a),
    print: "%1:float[2,3] = negative %0\n%2:float[2,3] = softplus %1\n%3:float[2,3] = negative %2",
    exact: [{ inputs: [{ shape: [4], data: [1000, -1000, inf, -inf] }], output: [0, -1000, 0, -inf] }],
  },
  {
    op: "geluGrad",
    inputs: [{ shape: [2, 3] }, { shape: [2, 3] }],
    call: (x, dy) => math.geluGrad(x, dy),
    exact: [
      {
        inputs: [
          { shape: [2], data: [0, 0] },
          { shape: [2], data: [2, -1] },
        ],
        output: [1, -0.5],
      },
    ],
  },
  {
    op: "tanhGrad",
    inputs: [{ shape: [2, 3] }, { shape: [2, 3] }],
    call: (y, dy) => math.tanhGrad(y, dy),
    print: [
      "%2:float[2,3] = multiply %0 %0",
      '%3:float[1] = constant {value=1, dtype="float32", shape=[1]}',
      "%4:float[2,3] = subtract %3 %2",
      "%5:float[2,3] = multiply %1 %4",
    ].join("\n"),
    exact: [
      {
        inputs: [
          { shape: [3], data: [-1, 0, 0.5] },
          { shape: [3], data: [3, 3, 4] },
        ],
        output: [0, 3, 3],
      },
    ],
  },
];
