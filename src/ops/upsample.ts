import { checkOptions, FlowError, plainText } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { requireImages } from "./conv.js";
import type { Named } from "./define.js";
import { add, multiply } from "./elementwise.js";
import { concat, range, stack } from "./parts.js";
import { broadcastTo, identity, reshape } from "./structure.js";
import { channelsLast, perAxis } from "./window.js";

/** Options of `upsample2d`. */
export interface Upsample2dOptions extends Named {
  /** How many times higher and wider: an integer or two; default 2. */
  readonly size?: number | readonly number[];
  /** `"NCHW"` (default) or `"NHWC"`. */
  readonly dataFormat?: string;
  /** `"nearest"` (default) repeats cells, `"bilinear"` interpolates between their centres; beyond the outer ones it repeats. */
  readonly interpolation?: string;
}

/**
 * Images of `size` times their height and width.
 * @flow layers.upsample_2d
 * @example
 * ```ts job
 * // x = [[[[1, 2]]]]
 * flow.layers.upsample2d(x); // -> [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]
 * flow.layers.upsample2d(x, { size: [1, 2], interpolation: "bilinear" }); // -> [[[[1, 1.25, 1.75, 2]]]]
 * ```
 */
export function upsample2d(x: Blob, options: Upsample2dOptions = {}): Blob {
  const what = "layers.upsample2d";
  const known = ["size", "dataFormat", "interpolation", "name"];
  const { size = 2, dataFormat = "NCHW", interpolation = "nearest", name } = checkOptions(what, options, known);
  const where = name === undefined ? what : `${what} '${name}'`;
  requireImages(where, "x", x, 2);
  const first = channelsLast(where, dataFormat, 2) ? 1 : 2;
  const times = perAxis(where, "size", size, 2);
  if (interpolation !== "nearest" && interpolation !== "bilinear")
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: interpolation is ${plainText(interpolation)}, expected 'nearest' or 'bilinear'`,
    );
  const widen = interpolation === "nearest" ? repeated : interpolated;
  const y = times.reduce((image, n, i) => (n === 1 ? image : widen(image, first + i, n)), x);
  return name === undefined ? y : identity(y, { name });
}

/** Each element of `axis` so many times. */
function repeated(x: Blob, axis: number, times: number): Blob {
  const cells = reshape(x, [...x.shape.slice(0, axis + 1), 1, ...x.shape.slice(axis + 1)]);
  const all = [...x.shape.slice(0, axis + 1), times, ...x.shape.slice(axis + 1)];
  return joined(broadcastTo(cells, all), axis);
}

/** Place p of the `times` that come of a cell lies `(p + 1/2) / times - 1/2` cells from its centre. */
function interpolated(x: Blob, axis: number, times: number): Blob {
  const length = x.shape[axis]!;
  const before = concat([range(x, axis, 0, 1), ...(length > 1 ? [range(x, axis, 0, length - 1)] : [])], { axis });
  const after = concat([...(length > 1 ? [range(x, axis, 1, length - 1)] : []), range(x, axis, length - 1, 1)], {
    axis,
  });
  const places = Array.from({ length: times }, (_, place) => {
    const offset = (place + 0.5) / times - 0.5;
    if (offset === 0) return x;
    const far = Math.abs(offset);
    return add(multiply(x, 1 - far), multiply(offset < 0 ? before : after, far));
  });
  return joined(stack(places, axis + 1), axis);
}

/** `axis` and the next as one. */
function joined(x: Blob, axis: number): Blob {
  return reshape(x, [...x.shape.slice(0, axis), x.shape[axis]! * x.shape[axis + 1]!, ...x.shape.slice(axis + 2)]);
}
