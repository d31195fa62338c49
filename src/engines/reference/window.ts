import { type Shape, sizeOf, stridesOf } from "../../core/shape.js";
import type { ConvAttrs } from "../../ops/conv.js";
import { type Window, windowOutputs } from "../../ops/window.js";
import type { Array64 } from "./array.js";
import type { Rows } from "./table.js";

/** For each tap and each place of a window over `sizes`: the index of the cell under it, -1 outside. */
function tapsOf(
  sizes: Shape,
  window: Window,
): { readonly taps: Int32Array; readonly count: number; readonly places: number } {
  const outputs = windowOutputs(sizes, window);
  const [count, places] = [sizeOf(window.kernel), sizeOf(outputs)];
  const taps = new Int32Array(count * places);
  const [inner, tapSteps, placeSteps] = [stridesOf(sizes), stridesOf(window.kernel), stridesOf(outputs)];
  for (let tap = 0; tap < count; tap++) {
    for (let place = 0; place < places; place++) {
      let index = 0;
      for (let axis = 0; axis < sizes.length && index >= 0; axis++) {
        const at =
          (Math.floor(place / placeSteps[axis]!) % outputs[axis]!) * window.strides[axis]! +
          (Math.floor(tap / tapSteps[axis]!) % window.kernel[axis]!) * window.dilations[axis]! -
          window.pads[axis]!;
        index = at < 0 || at >= sizes[axis]! ? -1 : index + at * inner[axis]!;
      }
      taps[tap * places + place] = index;
    }
  }
  return { taps, count, places };
}

/**
 * Calls `visit` for each batch element, group's channel and tap, with the indices of the cells under the tap; `offsets` gives
 * each filter of the group its result plane and its filter cell.
 */
function convolve(
  batch: number,
  filters: number,
  channels: number,
  sizes: Shape,
  attrs: ConvAttrs,
  visit: (
    cells: Int32Array,
    image: number,
    offsets: readonly { readonly plane: number; readonly cell: number }[],
  ) => void,
): void {
  const { taps, count, places } = tapsOf(sizes, attrs);
  const size = sizeOf(sizes);
  const perGroup = filters / attrs.groups;
  for (let n = 0; n < batch; n++) {
    for (let channel = 0; channel < channels * attrs.groups; channel++) {
      const first = Math.floor(channel / channels) * perGroup;
      for (let k = 0; k < count; k++) {
        const offsets = Array.from({ length: perGroup }, (_, i) => ({
          plane: (n * filters + first + i) * places,
          cell: ((first + i) * channels + (channel % channels)) * count + k,
        }));
        visit(taps.subarray(k * places, (k + 1) * places), (n * channels * attrs.groups + channel) * size, offsets);
      }
    }
  }
}

/** The values of an image's cells; 0 outside. */
const gather = (cells: Int32Array, image: number, data: Float64Array): Float64Array =>
  Float64Array.from(cells, (cell) => (cell < 0 ? 0 : data[image + cell]!));

const leadOf = ({ shape }: Array64, { kernel }: Window): number => sizeOf(shape.slice(0, shape.length - kernel.length));

export const window = {
  conv: ([x, w], attrs, [type]) => {
    const y = new Float64Array(sizeOf(type!.shape));
    convolve(x!.shape[0]!, w!.shape[0]!, w!.shape[1]!, x!.shape.slice(2), attrs, (cells, image, offsets) => {
      const values = gather(cells, image, x!.data);
      for (const { plane, cell } of offsets) {
        const weight = w!.data[cell]!;
        for (let l = 0; l < values.length; l++) y[plane + l]! += weight * values[l]!;
      }
    });
    return y;
  },
  convInputGrad: ([dy, w], attrs, [type]) => {
    const dx = new Float64Array(sizeOf(type!.shape));
    convolve(dy!.shape[0]!, w!.shape[0]!, w!.shape[1]!, attrs.sizes, attrs, (cells, image, offsets) => {
      const sums = new Float64Array(cells.length);
      for (const { plane, cell } of offsets) {
        const weight = w!.data[cell]!;
        for (let l = 0; l < sums.length; l++) sums[l]! += weight * dy!.data[plane + l]!;
      }
      cells.forEach((cell, l) => {
        if (cell >= 0) dx[image + cell]! += sums[l]!;
      });
    });
    return dx;
  },
  convFilterGrad: ([x, dy], attrs, [type]) => {
    const dw = new Float64Array(sizeOf(type!.shape));
    const [filters, channels] = type!.shape as [number, number];
    convolve(x!.shape[0]!, filters, channels, x!.shape.slice(2), attrs, (cells, image, offsets) => {
      const values = gather(cells, image, x!.data);
      for (const { plane, cell } of offsets) {
        let sum = 0;
        for (let l = 0; l < values.length; l++) sum += values[l]! * dy!.data[plane + l]!;
        dw[cell]! += sum;
      }
    });
    return dw;
  },
  unfold: ([x], attrs) => {
    const sizes = x!.shape.slice(-attrs.kernel.length);
    const { taps, count, places } = tapsOf(sizes, attrs);
    const [lead, size] = [leadOf(x!, attrs), sizeOf(sizes)];
    const result = new Float64Array(count * lead * places).fill(Number(attrs.value));
    for (let k = 0; k < count; k++) {
      for (let n = 0; n < lead; n++) {
        for (let l = 0; l < places; l++) {
          const at = taps[k * places + l]!;
          if (at >= 0) result[(k * lead + n) * places + l] = x!.data[n * size + at]!;
        }
      }
    }
    return result;
  },
  fold: ([x], attrs, [type]) => {
    const { taps, count, places } = tapsOf(attrs.sizes, attrs);
    const size = sizeOf(attrs.sizes);
    const result = new Float64Array(sizeOf(type!.shape));
    const lead = result.length / size;
    for (let k = 0; k < count; k++) {
      for (let n = 0; n < lead; n++) {
        for (let l = 0; l < places; l++) {
          const at = taps[k * places + l]!;
          if (at >= 0) result[n * size + at]! += x!.data[(k * lead + n) * places + l]!;
        }
      }
    }
    return result;
  },
  maxPool: ([x], attrs, [type]) => {
    const sizes = x!.shape.slice(-attrs.kernel.length);
    const { taps, count, places } = tapsOf(sizes, attrs);
    const size = sizeOf(sizes);
    const y = new Float64Array(sizeOf(type!.shape));
    const index = new Float64Array(y.length);
    for (let i = 0; i < y.length; i++) {
      const image = Math.floor(i / places) * size;
      let best = -1;
      for (let k = 0; k < count; k++) {
        const at = taps[k * places + (i % places)]!;
        if (at >= 0 && (best < 0 || x!.data[image + at]! > x!.data[best]!)) best = image + at;
      }
      y[i] = x!.data[best]!;
      index[i] = best;
    }
    return [y, index];
  },
  maxUnpool: ([dy, index], _, [type]) => {
    const dx = new Float64Array(sizeOf(type!.shape));
    dy!.data.forEach((value, i) => {
      dx[index!.data[i]!]! += value;
    });
    return dx;
  },
} satisfies Partial<Rows>;
