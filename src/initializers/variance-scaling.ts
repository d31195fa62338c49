import { checkOptions, FlowError, plainText } from "../core/errors.js";
import { type Shape, sizeOf } from "../core/shape.js";
import type { Initializer } from "./initializer.js";

type Mode = VarianceScaling["mode"];

/** A distribution whose width follows from the fans of the variable's shape. */
export interface VarianceScaling {
  /** Which distribution. */
  readonly kind: "varianceScaling";
  /** Variance times fan. */
  readonly scale: number;
  /** Which fan. */
  readonly mode: "fan_in" | "fan_out" | "fan_avg";
  /** The shape of the distribution. */
  readonly distribution: "truncated_normal" | "random_normal" | "random_uniform";
  /** Where a weight's kernel dimensions stand. */
  readonly dataFormat: string;
}

/** The standard deviation of N(0, 1) cut at ±2. */
const CUT = 0.8796256610342398;

/** How the shape of a weight is read by initializers that scale by fans. */
export interface DataFormatOption {
  /**
   * Where a weight's kernel dimensions stand: `"NC..."` for (out, in, ...k), `"N...C"` for (out, ...k, in). Default `""`, which
   * is for weights of rank 2 only.
   */
  readonly dataFormat?: string;
}

/** Options of `varianceScalingInitializer`. */
export interface VarianceScalingOptions extends DataFormatOption {
  /** Default 1. */
  readonly scale?: number;
  /** `"fan_in"` (default), `"fan_out"` or `"fan_avg"`. */
  readonly mode?: string;
  /** `"truncated_normal"` (default), `"random_normal"` or `"random_uniform"`. */
  readonly distribution?: string;
}

/** One of `allowed`, compared without case. */
function oneOf<const T extends string>(where: string, what: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((name) => typeof value === "string" && name === value.toLowerCase());
  if (found === undefined)
    throw new FlowError("E_ARGUMENT", `${where}: ${what} is ${plainText(value)}, expected ${allowed.join(", ")}`);
  return found;
}

/** Where the kernel dimensions stand; "" where nothing was said. */
function layoutOf(where: string, dataFormat: string): "" | "first" | "last" {
  const format = String(dataFormat).toUpperCase();
  if (format === "") return "";
  if (format.startsWith("NC")) return "first";
  if (format.startsWith("N") && format.endsWith("C")) return "last";
  throw new FlowError(
    "E_ARGUMENT",
    `${where}: dataFormat is ${plainText(dataFormat)}, expected one such as 'NCHW' or 'NHWC'`,
  );
}

/** Fans of a weight stored output first: fan in is `prod(shape[1:])`, fan out `shape[0]` times the kernel's size. */
export function fansOf(where: string, shape: Shape, dataFormat: string): { readonly in: number; readonly out: number } {
  const layout = layoutOf(where, dataFormat);
  if (shape.length < 2 || (layout === "" && shape.length !== 2))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: an initializer that scales by fans cannot fill the shape [${shape.join(",")}]: ${shape.length < 2 ? "a rank of at least 2 is needed" : "pass it { dataFormat: 'NCHW' } or { dataFormat: 'NHWC' }"}`,
    );
  const kernel = layout === "last" ? shape.slice(1, -1) : shape.slice(2);
  return { in: sizeOf(shape.slice(1)), out: shape[0]! * sizeOf(kernel) };
}

const fanOf = (mode: Mode, fans: ReturnType<typeof fansOf>): number =>
  mode === "fan_in" ? fans.in : mode === "fan_out" ? fans.out : (fans.in + fans.out) / 2;

/** The distribution that an initializer means for this shape. */
export function scaled(initializer: Initializer, shape: Shape): Exclude<Initializer, VarianceScaling> {
  if (initializer.kind !== "varianceScaling") return initializer;
  const { scale, mode, distribution, dataFormat } = initializer;
  const variance = scale / fanOf(mode, fansOf("varianceScalingInitializer", shape, dataFormat));
  const stddev = Math.sqrt(variance);
  switch (distribution) {
    case "random_uniform":
      return uniform(Math.sqrt(3 * variance));
    case "random_normal":
      return { kind: "normal", mean: 0, stddev };
    case "truncated_normal":
      return { kind: "truncatedNormal", mean: 0, stddev: stddev / CUT };
    default:
      return distribution satisfies never;
  }
}

const uniform = (limit: number): Exclude<Initializer, VarianceScaling> => ({
  kind: "uniform",
  min: -limit,
  max: limit,
  dtype: "float32",
});

/**
 * Mean 0 and variance `scale / fan`, the fan being of the variable's shape: U(-L, L) with L = sqrt(3 scale / fan), N(0, s) with
 * s = sqrt(scale / fan), or that normal cut at two deviations and widened to keep the variance.
 * @flow variance_scaling_initializer
 */
export function varianceScalingInitializer(options: VarianceScalingOptions = {}): Initializer {
  const where = "varianceScalingInitializer";
  checkOptions(where, options, ["scale", "mode", "distribution", "dataFormat"]);
  const { scale = 1, mode = "fan_in", distribution = "truncated_normal", dataFormat = "" } = options;
  if (!(typeof scale === "number" && scale > 0 && Number.isFinite(scale)))
    throw new FlowError("E_ARGUMENT", `${where}: scale is ${plainText(scale)}, expected a number above 0`);
  layoutOf(where, dataFormat);
  return Object.freeze({
    kind: "varianceScaling",
    scale,
    mode: oneOf(where, "mode", mode, ["fan_in", "fan_out", "fan_avg"]),
    distribution: oneOf(where, "distribution", distribution, ["truncated_normal", "random_normal", "random_uniform"]),
    dataFormat,
  });
}

/**
 * U(-L, L), L = sqrt(6 / (fanIn + fanOut)).
 * @flow glorot_uniform_initializer @flow xavier_uniform_initializer
 * @example
 * ```ts job
 * const w = flow.getVariable("w", { shape: [20, 30], initializer: flow.glorotUniformInitializer() });
 * flow.math.reduceAll(flow.math.lessEqual(flow.math.abs(w), Math.sqrt(6 / 50))); // -> [1]
 * ```
 */
export function glorotUniformInitializer(options: DataFormatOption = {}): Initializer {
  const { dataFormat = "" } = checkOptions("glorotUniformInitializer", options, ["dataFormat"]);
  layoutOf("glorotUniformInitializer", dataFormat);
  return varianceScalingInitializer({ mode: "fan_avg", distribution: "random_uniform", dataFormat });
}

/** N(0, s), s = sqrt(2 / (fanIn + fanOut)), not truncated.  @flow glorot_normal_initializer @flow xavier_normal_initializer */
export function glorotNormalInitializer(options: DataFormatOption = {}): Initializer {
  const { dataFormat = "" } = checkOptions("glorotNormalInitializer", options, ["dataFormat"]);
  layoutOf("glorotNormalInitializer", dataFormat);
  return varianceScalingInitializer({ mode: "fan_avg", distribution: "random_normal", dataFormat });
}

/** Options of `kaimingInitializer`. */
export interface KaimingOptions extends DataFormatOption {
  /** `"random_normal"` (default) or `"random_uniform"`. */
  readonly distribution?: string;
  /** `"fan_in"` (default), `"fan_out"` or `"fan_avg"`. */
  readonly mode?: string;
  /** What follows the layer: `"leaky_relu"` (default), `"relu"`, `"tanh"`, `"sigmoid"` or null. */
  readonly nonlinearity?: string | null;
  /** Of leaky_relu; default 0. */
  readonly negativeSlope?: number;
}

/**
 * N(0, s) or U(-√3 s, √3 s) with s = gain / sqrt(fan), from the fans of the `shape` given here, not of the variable's.
 * Gains: 1, tanh 5/3, relu √2, leaky_relu sqrt(2 / (1 + negativeSlope²)). `dataFormat` is NCHW by default.
 * @flow kaiming_initializer
 * @example
 * ```ts job
 * const shape = [8, 4, 3, 3];
 * const initializer = flow.kaimingInitializer(shape, { distribution: "random_uniform", nonlinearity: "relu" });
 * const w = flow.getVariable("w", { shape, initializer });
 * flow.math.reduceAll(flow.math.lessEqual(flow.math.abs(w), Math.sqrt(6 / 36))); // -> [1]
 * ```
 */
export function kaimingInitializer(shape: Shape, options: KaimingOptions = {}): Initializer {
  const where = "kaimingInitializer";
  checkOptions(where, options, ["distribution", "mode", "nonlinearity", "negativeSlope", "dataFormat"]);
  const {
    distribution = "random_normal",
    mode = "fan_in",
    nonlinearity = "leaky_relu",
    negativeSlope = 0,
    dataFormat = "NCHW",
  } = options;
  if (!Array.isArray(shape) || !shape.every((d) => Number.isInteger(d) && d > 0))
    throw new FlowError("E_ARGUMENT", `${where}: shape is ${plainText(shape)}, expected positive integers`);
  const gains = { tanh: 5 / 3, sigmoid: 1, relu: Math.SQRT2, leaky_relu: Math.sqrt(2 / (1 + negativeSlope ** 2)) };
  const kind = oneOf(where, "distribution", distribution, ["random_normal", "random_uniform"]);
  const fan = fanOf(oneOf(where, "mode", mode, ["fan_in", "fan_out", "fan_avg"]), fansOf(where, shape, dataFormat));
  const gain =
    nonlinearity === null
      ? 1
      : gains[oneOf(where, "nonlinearity", nonlinearity, ["tanh", "sigmoid", "relu", "leaky_relu"])];
  const stddev = gain / Math.sqrt(fan);
  return Object.freeze(kind === "random_normal" ? { kind: "normal", mean: 0, stddev } : uniform(Math.sqrt(3) * stddev));
}
