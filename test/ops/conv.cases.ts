import * as flow from "onestep";
import { emit } from "#src/graph/trace.js";
import { convFilterGradOp } from "#src/ops/conv.js";
import { avgPoolGradOp } from "#src/ops/pool.js";
import { fold, unfold } from "#src/ops/window.js";
import type { Row } from "./rows.js";

const { layers, nn } = flow;
const window = { kernel: [3, 2], strides: [2, 1], dilations: [1, 2], pads: [1, 0, 2, 1] };

const inf = Infinity;

export const rows: readonly Row[] = [
  {
    op: "samePadding",
    inputs: [{ shape: [1, 2, 3, 4] }],
    call: (a) => flow.samePadding(a, "SAME_LOWER", "NCHW", [2, 3], [1, 2], 1),
    print: "%1:float[1,2,4,5] = pad %0 {before=[0,0,1,1], after=[0,0,0,0], value=0}",
  },
  {
    op: "samePadding",
    inputs: [{ shape: [1, 3, 4, 2] }],
    call: (a) => flow.samePadding(a, "same_upper", "NHWC", 2, [1, 2], [2, 1]),
    print: "%1:float[1,5,4,2] = pad %0 {before=[0,1,0,0], after=[0,1,0,0], value=0}",
  },
  {
    op: "samePadding",
    inputs: [{ shape: [1, 1, 3] }],
    call: (a) => flow.samePadding(a, "SAME_UPPER", "NCW", 4, 1, 1),
    print: "%1:float[1,1,6] = pad %0 {before=[0,0,1], after=[0,0,2], value=0}",
    exact: [
      { inputs: [{ shape: [1, 1, 3], data: [1, 2, 3] }], output: [0, 1, 2, 3, 0, 0], gradients: [[1, 1, 1]] },
      { inputs: [{ shape: [1, 1, 3], data: [1, 2, 3], dtype: "int8" }], output: [0, 1, 2, 3, 0, 0] },
    ],
  },
  {
    op: "unfold",
    inputs: [{ shape: [2, 5, 4] }],
    call: (x) => unfold(x, window),
    print: "%1:float[6,2,3,3] = unfold %0 {kernel=[3,2], strides=[2,1], dilations=[1,2], pads=[1,0,2,1], value=0}",
    exact: [
      {
        inputs: [{ shape: [5, 4], data: Array.from({ length: 20 }, (_, i) => i + 1) }],
        output: [
          0, 0, 0, 5, 6, 7, 13, 14, 15, 0, 0, 0, 7, 8, 0, 15, 16, 0, 1, 2, 3, 9, 10, 11, 17, 18, 19, 3, 4, 0, 11, 12, 0,
          19, 20, 0, 5, 6, 7, 13, 14, 15, 0, 0, 0, 7, 8, 0, 15, 16, 0, 0, 0, 0,
        ],
      },
    ],
  },
  {
    op: "fold",
    inputs: [{ shape: [6, 2, 3, 3] }],
    call: (x) => fold(x, window, [5, 4]),
    print: "%1:float[2,5,4] = fold %0 {kernel=[3,2], strides=[2,1], dilations=[1,2], pads=[1,0,2,1], sizes=[5,4]}",
  },
  {
    op: "conv",
    inputs: [{ shape: [2, 3, 5, 4] }, { shape: [4, 3, 3, 2] }],
    call: (x, w) => nn.conv2d(x, w, 1, "SAME"),
    print: "%2:float[2,4,5,4] = conv %0 %1 {kernel=[3,2], strides=[1,1], dilations=[1,1], pads=[1,1,1,0], groups=1}",
    exact: [
      {
        // An even kernel: SAME puts the odd row and column before.
        inputs: [
          { shape: [1, 1, 2, 2], data: [1, 2, 3, 4] },
          { shape: [1, 1, 2, 2], data: [1, 10, 100, 1000] },
        ],
        output: [1000, 2100, 3010, 4321],
        gradients: [
          [1111, 1010, 1100, 1000],
          [1, 3, 4, 10],
        ],
      },
    ],
  },
  {
    op: "conv",
    inputs: [{ shape: [1, 4, 7, 6] }, { shape: [6, 2, 3, 3] }],
    call: (x, w) =>
      nn.conv2d(
        x,
        w,
        [2, 1],
        [
          [0, 0],
          [0, 0],
          [1, 2],
          [0, 3],
        ],
        { dilations: [1, 2], groups: 2 },
      ),
    print: "%2:float[1,6,4,5] = conv %0 %1 {kernel=[3,3], strides=[2,1], dilations=[1,2], pads=[1,0,2,3], groups=2}",
  },
  {
    op: "conv",
    inputs: [{ shape: [2, 5, 5, 3] }, { shape: [2, 2, 2, 3] }],
    call: (x, w) => nn.conv2d(x, w, 2, "SAME_UPPER", { dataFormat: "NHWC" }),
    print: [
      "%2:float[2,3,5,5] = transpose %0 {perm=[0,3,1,2]}",
      "%3:float[2,3,2,2] = transpose %1 {perm=[0,3,1,2]}",
      "%4:float[2,2,3,3] = conv %2 %3 {kernel=[2,2], strides=[2,2], dilations=[1,1], pads=[0,0,1,1], groups=1}",
      "%5:float[2,3,3,2] = transpose %4 {perm=[0,2,3,1]}",
    ].join("\n"),
  },
  {
    op: "convInputGrad",
    inputs: [{ shape: [2, 3, 3, 4] }, { shape: [3, 2, 3, 3] }],
    call: (x, w) => nn.conv2dTranspose(x, w, [2, 2, 6, 8], { strides: 2, padding: "SAME" }),
    print:
      "%2:float[2,2,6,8] = convInputGrad %0 %1 {kernel=[3,3], strides=[2,2], dilations=[1,1], pads=[0,0,1,1], groups=1, sizes=[6,8]}",
  },
  {
    op: "convFilterGrad",
    inputs: [{ shape: [2, 4, 5, 4] }, { shape: [2, 6, 3, 2] }],
    call: (x, dy) => {
      const attrs = { kernel: [2, 2], strides: [2, 2], dilations: [1, 1], pads: [1, 0, 0, 1], groups: 2 };
      return emit(convFilterGradOp, [x, dy], attrs);
    },
    print:
      "%2:float[6,2,2,2] = convFilterGrad %0 %1 {kernel=[2,2], strides=[2,2], dilations=[1,1], pads=[1,0,0,1], groups=2}",
  },
  {
    op: "maxPool",
    inputs: [{ shape: [2, 3, 4, 6] }],
    call: (x) => nn.maxPool2d(x, 2, 2, "SAME"),
    print:
      "%1:float[2,3,2,3], %2:int64[2,3,2,3] = maxPool %0 {kernel=[2,2], strides=[2,2], dilations=[1,1], pads=[0,0,0,0]}",
    exact: [
      {
        // Ties: the first cell of the window, in C order, gets the gradient.
        inputs: [{ shape: [1, 1, 2, 4], data: [1, 1, -2, -1, 1, 1, -1, -3] }],
        output: [1, -1],
        gradients: [[1, 0, 0, 1, 0, 0, 0, 0]],
      },
      {
        inputs: [{ shape: [1, 1, 2, 2], data: [-Infinity, 5, Infinity, 5] }],
        output: [Infinity],
        gradients: [[0, 0, 1, 0]],
      },
    ],
  },
  {
    op: "maxPool",
    inputs: [{ shape: [1, 2, 5, 5] }],
    call: (x) => nn.maxPool2d(x, 3, 2, [0, 0, [1, 1], [0, 1]], { ceilMode: true }),
    print:
      "%1:float[1,2,3,3], %2:int64[1,2,3,3] = maxPool %0 {kernel=[3,3], strides=[2,2], dilations=[1,1], pads=[1,0,1,2]}",
  },
  {
    op: "maxPool",
    inputs: [{ shape: [1, 4, 3, 2] }],
    call: (x) => nn.maxPool2d(x, [3, 2], 1, "SAME_LOWER", { dataFormat: "NHWC" }),
    print: [
      "%1:float[1,2,4,3] = transpose %0 {perm=[0,3,1,2]}",
      "%2:float[1,2,4,3], %3:int64[1,2,4,3] = maxPool %1 {kernel=[3,2], strides=[1,1], dilations=[1,1], pads=[1,1,1,0]}",
      "%4:float[1,4,3,2] = transpose %2 {perm=[0,2,3,1]}",
    ].join("\n"),
  },
  {
    op: "avgPool",
    inputs: [{ shape: [2, 3, 4, 6] }],
    call: (x) => nn.avgPool2d(x, 2, 2, "VALID"),
    print: "%1:float[2,3,2,3] = avgPool %0 {kernel=[2,2], strides=[2,2], dilations=[1,1], pads=[0,0,0,0]}",
  },
  {
    op: "avgPool",
    inputs: [{ shape: [1, 2, 5, 4] }],
    call: (x) => nn.avgPool2d(x, [3, 2], [2, 1], "SAME"),
    print: "%1:float[1,2,3,4] = avgPool %0 {kernel=[3,2], strides=[2,1], dilations=[1,1], pads=[1,1,1,0]}",
    exact: [
      {
        // Divided by the cells inside, not by the window's size.
        inputs: [{ shape: [1, 1, 1, 2], data: [2, 4] }],
        output: [2, 3],
        gradients: [[1.5, 0.5]],
      },
    ],
  },
  {
    op: "avgPoolGrad",
    inputs: [{ shape: [2, 3, 3, 4] }],
    call: (dy) => {
      const attrs = { kernel: [3, 2], strides: [2, 1], dilations: [1, 1], pads: [1, 1, 1, 0], sizes: [5, 4] };
      return emit(avgPoolGradOp, [dy], attrs);
    },
    print:
      "%1:float[2,3,5,4] = avgPoolGrad %0 {kernel=[3,2], strides=[2,1], dilations=[1,1], pads=[1,1,1,0], sizes=[5,4]}",
  },
  {
    op: "avgPoolGrad",
    inputs: [{ shape: [2, 1, 1, 2] }],
    call: (dy) => {
      const attrs = { kernel: [3, 3], strides: [2, 2], dilations: [1, 1], pads: [0, 0, 0, 0], sizes: [4, 5] };
      return emit(avgPoolGradOp, [dy], attrs);
    },
    print:
      "%1:float[2,1,4,5] = avgPoolGrad %0 {kernel=[3,3], strides=[2,2], dilations=[1,1], pads=[0,0,0,0], sizes=[4,5]}",
    exact: [
      {
        // What is infinite reaches its own cells alone.
        inputs: [{ shape: [1, 1, 1, 2], data: [9, inf] }],
        output: [1, 1, inf, inf, inf, 1, 1, inf, inf, inf, 1, 1, inf, inf, inf, 0, 0, 0, 0, 0],
      },
    ],
  },
  {
    // Windows overlap; the last row belongs to none.
    op: "avgPool",
    inputs: [{ shape: [2, 2, 6, 7] }],
    call: (x) => nn.avgPool2d(x, 3, 2, "VALID"),
    print: "%1:float[2,2,2,3] = avgPool %0 {kernel=[3,3], strides=[2,2], dilations=[1,1], pads=[0,0,0,0]}",
  },
  {
    op: "avgPool",
    inputs: [{ shape: [1, 5, 5, 2] }],
    call: (x) => nn.avgPool2d(x, 2, 2, [0, 0, 0, 0], { ceilMode: true, dataFormat: "NHWC" }),
    print: [
      "%1:float[1,2,5,5] = transpose %0 {perm=[0,3,1,2]}",
      "%2:float[1,2,3,3] = avgPool %1 {kernel=[2,2], strides=[2,2], dilations=[1,1], pads=[0,0,1,1]}",
      "%3:float[1,3,3,2] = transpose %2 {perm=[0,2,3,1]}",
    ].join("\n"),
  },
  {
    op: "conv",
    inputs: [{ shape: [2, 4, 9] }, { shape: [6, 2, 3] }],
    call: (x, w) => nn.conv1d(x, w, 2, "SAME", { groups: 2 }),
    print: "%2:float[2,6,5] = conv %0 %1 {kernel=[3], strides=[2], dilations=[1], pads=[1,1], groups=2}",
    exact: [
      {
        inputs: [
          { shape: [1, 4, 1], data: [1, 2, 3, 4] },
          { shape: [2, 2, 1], data: [1, 10, 1, 10] },
        ],
        output: [21, 43],
      },
    ],
  },
  {
    op: "conv",
    inputs: [{ shape: [2, 7, 3] }, { shape: [2, 2, 3] }],
    call: (x, w) => nn.conv1d(x, w, 1, [0, [2, 1], 0], { dataFormat: "NWC", dilations: 2 }),
    print: [
      "%2:float[2,3,7] = transpose %0 {perm=[0,2,1]}",
      "%3:float[2,3,2] = transpose %1 {perm=[0,2,1]}",
      "%4:float[2,2,8] = conv %2 %3 {kernel=[2], strides=[1], dilations=[2], pads=[2,1], groups=1}",
      "%5:float[2,8,2] = transpose %4 {perm=[0,2,1]}",
    ].join("\n"),
  },
  {
    op: "conv",
    inputs: [{ shape: [2, 2, 3, 4, 5] }, { shape: [3, 2, 2, 2, 3] }],
    call: (x, w) => nn.conv3d(x, w, [1, 2, 2], "SAME"),
    print:
      "%2:float[2,3,3,2,3] = conv %0 %1 {kernel=[2,2,3], strides=[1,2,2], dilations=[1,1,1], pads=[1,0,1,0,0,1], groups=1}",
    exact: [
      {
        // An even kernel: SAME puts the odd plane before.
        inputs: [
          { shape: [1, 1, 2, 1, 1], data: [1, 2] },
          { shape: [1, 1, 2, 1, 1], data: [1, 10] },
        ],
        gradients: [
          [11, 10],
          [1, 3],
        ],
      },
    ],
  },
  {
    op: "conv",
    inputs: [{ shape: [1, 3, 3, 4, 2] }, { shape: [2, 2, 1, 2, 2] }],
    call: (x, w) => nn.conv3d(x, w, 1, "VALID", { dataFormat: "NDHWC", dilations: [1, 1, 2] }),
    print: [
      "%2:float[1,2,3,3,4] = transpose %0 {perm=[0,4,1,2,3]}",
      "%3:float[2,2,2,1,2] = transpose %1 {perm=[0,4,1,2,3]}",
      "%4:float[1,2,2,3,2] = conv %2 %3 {kernel=[2,1,2], strides=[1,1,1], dilations=[1,1,2], pads=[0,0,0,0,0,0], groups=1}",
      "%5:float[1,2,3,2,2] = transpose %4 {perm=[0,2,3,4,1]}",
    ].join("\n"),
  },
  {
    op: "conv",
    inputs: [{ shape: [1, 4, 3, 3, 3] }, { shape: [4, 2, 2, 2, 2] }],
    call: (x, w) => nn.conv3d(x, w, 1, "VALID", { groups: 2 }),
    print:
      "%2:float[1,4,2,2,2] = conv %0 %1 {kernel=[2,2,2], strides=[1,1,1], dilations=[1,1,1], pads=[0,0,0,0,0,0], groups=2}",
  },
  {
    op: "conv",
    inputs: [{ shape: [2, 3, 5, 4] }, { shape: [4, 3, 2, 2] }],
    call: (x, w) => nn.compatConv2d(x, w, 1, "same"),
    print: "%2:float[2,4,5,4] = conv %0 %1 {kernel=[2,2], strides=[1,1], dilations=[1,1], pads=[0,0,1,1], groups=1}",
  },
  {
    op: "convInputGrad",
    inputs: [{ shape: [2, 3, 3, 4] }, { shape: [3, 2, 3, 3] }],
    call: (x, w) => nn.torchConv2dTranspose(x, w, { strides: 2, paddingNeeded: [2, 0], outputPadding: [1, 0] }),
    print:
      "%2:float[2,2,6,9] = convInputGrad %0 %1 {kernel=[3,3], strides=[2,2], dilations=[1,1], pads=[1,0,1,0], groups=1, sizes=[6,9]}",
  },
  {
    op: "convInputGrad",
    inputs: [{ shape: [1, 3, 2, 2] }, { shape: [2, 2, 3, 3] }],
    call: (x, w) => nn.torchConv2dTranspose(x, w, { dataFormat: "NHWC", dilations: [2, 1] }),
    print: [
      "%2:float[1,2,3,2] = transpose %0 {perm=[0,3,1,2]}",
      "%3:float[2,3,2,3] = transpose %1 {perm=[0,3,1,2]}",
      "%4:float[1,3,5,4] = convInputGrad %2 %3 {kernel=[2,3], strides=[1,1], dilations=[2,1], pads=[0,0,0,0], groups=1, sizes=[5,4]}",
      "%5:float[1,5,4,3] = transpose %4 {perm=[0,2,3,1]}",
    ].join("\n"),
  },
  {
    op: "maxPool",
    inputs: [{ shape: [2, 7, 3] }],
    call: (x) => nn.maxPool1d(x, 3, 2, "SAME"),
    print: [
      "%1:float[2,3,7] = transpose %0 {perm=[0,2,1]}",
      "%2:float[2,3,4], %3:int64[2,3,4] = maxPool %1 {kernel=[3], strides=[2], dilations=[1], pads=[1,1]}",
      "%4:float[2,4,3] = transpose %2 {perm=[0,2,1]}",
    ].join("\n"),
    exact: [{ inputs: [{ shape: [1, 3, 1], data: [2, 2, 1] }], output: [2, 2], gradients: [[1, 1, 0]] }],
  },
  {
    op: "maxPool",
    inputs: [{ shape: [1, 2, 3, 4, 5] }],
    call: (x) => nn.maxPool3d(x, 2, [1, 2, 2], [0, 0, 0, [1, 0], [0, 1]], { ceilMode: true }),
    print:
      "%1:float[1,2,2,3,3], %2:int64[1,2,2,3,3] = maxPool %0 {kernel=[2,2,2], strides=[1,2,2], dilations=[1,1,1], pads=[0,1,0,0,1,1]}",
    exact: [
      {
        // Ties: the first cell of the window, in C order, gets the gradient.
        inputs: [{ shape: [1, 1, 2, 2, 2], data: [1, 3, 3, 1, 3, 1, 1, 1] }],
        gradients: [[0, 1, 1, 0, 0, 0, 0, 0]],
      },
    ],
  },
  {
    op: "avgPool",
    inputs: [{ shape: [2, 3, 7] }],
    call: (x) => nn.avgPool1d(x, 3, 2, "SAME"),
    print: "%1:float[2,3,4] = avgPool %0 {kernel=[3], strides=[2], dilations=[1], pads=[1,1]}",
    exact: [{ inputs: [{ shape: [1, 1, 3], data: [1, 3, 8] }], output: [2, 5.5], gradients: [[0.5, 1, 0.5]] }],
  },
  {
    op: "avgPool",
    inputs: [{ shape: [1, 3, 4, 5, 2] }],
    call: (x) => nn.avgPool3d(x, [2, 2, 1], 2, "SAME_UPPER", { dataFormat: "NDHWC" }),
    print: [
      "%1:float[1,2,3,4,5] = transpose %0 {perm=[0,4,1,2,3]}",
      "%2:float[1,2,2,2,3] = avgPool %1 {kernel=[2,2,1], strides=[2,2,2], dilations=[1,1,1], pads=[0,0,0,1,0,0]}",
      "%3:float[1,2,2,3,2] = transpose %2 {perm=[0,2,3,4,1]}",
    ].join("\n"),
  },
  {
    op: "upsample2d",
    inputs: [{ shape: [2, 3, 2, 3] }],
    call: (x) => layers.upsample2d(x, { size: [2, 3] }),
    print: [
      "%1:float[2,3,2,1,3] = reshape %0 {shape=[2,3,2,1,3]}",
      "%2:float[2,3,2,2,3] = broadcastTo %1 {shape=[2,3,2,2,3]}",
      "%3:float[2,3,4,3] = reshape %2 {shape=[2,3,4,3]}",
      "%4:float[2,3,4,3,1] = reshape %3 {shape=[2,3,4,3,1]}",
      "%5:float[2,3,4,3,3] = broadcastTo %4 {shape=[2,3,4,3,3]}",
      "%6:float[2,3,4,9] = reshape %5 {shape=[2,3,4,9]}",
    ].join("\n"),
    exact: [
      {
        inputs: [{ shape: [1, 1, 1, 2], data: [1, 2] }],
        output: [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2],
        gradients: [[6, 6]],
      },
    ],
  },
  {
    op: "upsample2d",
    inputs: [{ shape: [1, 3, 4, 2] }],
    call: (x) => layers.upsample2d(x, { size: [3, 2], interpolation: "bilinear", dataFormat: "NHWC", name: "up" }),
    exact: [
      {
        inputs: [{ shape: [1, 1, 2, 1], data: [1, 2] }],
        output: [1, 1.25, 1.75, 2, 1, 1.25, 1.75, 2, 1, 1.25, 1.75, 2],
        gradients: [[6, 6]],
      },
    ],
  },
  {
    op: "padGrad",
    inputs: [{ shape: [4, 5] }],
    call: (x) =>
      flow.padGrad(x, [
        [1, 0],
        [2, 1],
      ]),
    print: "%1:float[3,2] = slice %0 {starts=[1,2], sizes=[3,2], steps=[1,1]}",
  },
];
