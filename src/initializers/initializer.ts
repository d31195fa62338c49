import { type DataOf, type DType, isFloat } from "../core/dtype.js";
import { checkOptions, FlowError, plainText, textOfValue } from "../core/errors.js";
import { Normals, Rng, type Stream } from "../core/rng.js";
import type { Shape } from "../core/shape.js";
import { roundHalves, type Tensor, zeros } from "../core/tensor.js";
import { fansOf, scaled, type VarianceScaling } from "./variance-scaling.js";

/** How a variable's first value is made: plain frozen data, compared by value; nothing is drawn before `sample`. */
export type Initializer =
  | { readonly kind: "constant"; readonly value: number; readonly dtype: DType }
  | { readonly kind: "uniform"; readonly min: number; readonly max: number; readonly dtype: DType }
  | { readonly kind: "normal"; readonly mean: number; readonly stddev: number }
  | { readonly kind: "truncatedNormal"; readonly mean: number; readonly stddev: number }
  | VarianceScaling;

/** Options of initializers that also fill integer variables. */
export interface InitializerDType {
  /** Default float32; an integer dtype for integer variables. */
  readonly dtype?: DType;
}

function number(where: string, name: string, value: unknown): number {
  if (typeof value !== "number" || Number.isNaN(value))
    throw new FlowError("E_ARGUMENT", `${where}: ${name} is ${plainText(value)}, expected a number`);
  return value;
}

function positive(where: string, name: string, value: unknown): number {
  const checked = number(where, name, value);
  if (checked <= 0) throw new FlowError("E_ARGUMENT", `${where}: ${name} is ${checked}, expected more than 0`);
  return checked;
}

/**
 * Every element `value`.
 * @flow constant_initializer
 * @example
 * ```ts job
 * flow.getVariable("w", { shape: [2], initializer: flow.constantInitializer(0.5) }); // -> [0.5, 0.5]
 * ```
 */
export function constantInitializer(value = 0, options: InitializerDType = {}): Initializer {
  const { dtype = "float32" } = checkOptions("constantInitializer", options, ["dtype"]);
  number("constantInitializer", "value", value);
  if (!isFloat(dtype) && !Number.isInteger(value))
    throw new FlowError("E_DTYPE", `constantInitializer: ${value} is no ${dtype}`);
  return Object.freeze({ kind: "constant", value, dtype });
}

/** Every element 0.  @flow zeros_initializer */
export function zerosInitializer(options: InitializerDType = {}): Initializer {
  return constantInitializer(0, checkOptions("zerosInitializer", options, ["dtype"]));
}

/** Every element 1.  @flow ones_initializer */
export function onesInitializer(options: InitializerDType = {}): Initializer {
  return constantInitializer(1, checkOptions("onesInitializer", options, ["dtype"]));
}

/**
 * Uniform on [minval, maxval]; for an integer dtype, integers of that closed range.
 * @flow random_uniform_initializer
 * @example
 * ```ts job
 * const initializer = flow.randomUniformInitializer(-1, 1);
 * const w = flow.getVariable("w", { shape: [1000], initializer });
 * flow.math.reduceAll(flow.math.lessEqual(flow.math.abs(w), 1)); // -> [1]
 * ```
 */
export function randomUniformInitializer(minval = 0, maxval = 1, options: InitializerDType = {}): Initializer {
  const { dtype = "float32" } = checkOptions("randomUniformInitializer", options, ["dtype"]);
  const [min, max] = [
    number("randomUniformInitializer", "minval", minval),
    number("randomUniformInitializer", "maxval", maxval),
  ];
  if (min > max)
    throw new FlowError(
      "E_ARGUMENT",
      `randomUniformInitializer: minval ${min} is more than maxval ${max}, expected at most that`,
    );
  if (!isFloat(dtype) && !(Number.isInteger(min) && Number.isInteger(max)))
    throw new FlowError("E_DTYPE", `randomUniformInitializer: bounds ${min}, ${max} must be integers for ${dtype}`);
  return Object.freeze({ kind: "uniform", min, max, dtype });
}

/** Normal with this mean and standard deviation.  @flow random_normal_initializer */
export function randomNormalInitializer(mean = 0, stddev = 1): Initializer {
  return Object.freeze({
    kind: "normal",
    mean: number("randomNormalInitializer", "mean", mean),
    stddev: positive("randomNormalInitializer", "stddev", stddev),
  });
}

/** Normal, drawn again while |x - mean| >= 2 stddev (what is left has a standard deviation of about 0.88 stddev).  @flow truncated_normal_initializer */
export function truncatedNormalInitializer(mean = 0, stddev = 1): Initializer {
  return Object.freeze({
    kind: "truncatedNormal",
    mean: number("truncatedNormalInitializer", "mean", mean),
    stddev: positive("truncatedNormalInitializer", "stddev", stddev),
  });
}

/**
 * `truncatedNormalInitializer` with mean 0; the first argument is the standard deviation.
 * @flow truncated_normal
 * @example
 * ```ts job
 * const w = flow.getVariable("w", { shape: [1000], initializer: flow.truncatedNormal(0.1) });
 * flow.math.reduceAll(flow.math.less(flow.math.abs(w), 0.2)); // -> [1]
 * ```
 */
export function truncatedNormal(stddev = 1): Initializer {
  return truncatedNormalInitializer(0, stddev);
}

/** Draws a value, into `tensor` where it is given: equal arguments give equal bytes, in every process. Long draws let the event loop turn. */
export async function sample<D extends DType>(
  initializer: Initializer,
  stream: Stream,
  shape: Shape,
  dtype: D,
  tensor: Tensor<D> = zeros(dtype, shape),
): Promise<Tensor<D>> {
  const fill = filler(scaled(initializer, shape), stream, tensor);
  const { length } = tensor.data;
  for (let start = 0; start < length; start += 32768) {
    const end = Math.min(length, start + 32768);
    fill(start, end);
    if (dtype === "float16") roundHalves({ ...tensor, data: tensor.data.subarray(start, end) } as Tensor);
    if (end < length) await new Promise((resolve) => setImmediate(resolve));
  }
  return tensor;
}

type Plain = Exclude<Initializer, VarianceScaling>;

/** Fills a part of `tensor`; parts are asked for from the first to the last. */
function filler(initializer: Plain, stream: Stream, { data, dtype }: Tensor): (start: number, end: number) => void {
  if (initializer.kind === "constant") {
    const { value } = initializer;
    if (dtype === "int64") return (start, end) => void (data as BigInt64Array).fill(BigInt(value), start, end);
    return (start, end) => void (data as DataOf<"float64">).fill(value, start, end);
  }
  const draw = drawer(initializer, stream, isFloat(dtype));
  return (start, end) => {
    if (dtype === "int64") for (let i = start; i < end; i++) (data as BigInt64Array)[i] = BigInt(draw());
    else for (let i = start; i < end; i++) (data as DataOf<"float64">)[i] = draw();
  };
}

function drawer(
  initializer: Exclude<Plain, { readonly kind: "constant" }>,
  stream: Stream,
  float: boolean,
): () => number {
  switch (initializer.kind) {
    case "uniform": {
      const { min, max } = initializer;
      const rng = new Rng(stream);
      return float ? () => min + (max - min) * rng.uniform() : () => min + Math.floor((max - min + 1) * rng.uniform());
    }
    case "normal":
    case "truncatedNormal": {
      const { kind, mean, stddev } = initializer;
      const normals = new Normals(stream);
      if (kind === "normal") return () => mean + stddev * normals.next();
      return () => {
        for (;;) {
          const x = normals.next();
          if (Math.abs(x) < 2) return mean + stddev * x;
        }
      };
    }
    default:
      return initializer satisfies never;
  }
}

const kinds: readonly Initializer["kind"][] = ["constant", "uniform", "normal", "truncatedNormal", "varianceScaling"];

/**
 * E_DTYPE where an initializer cannot fill a variable of `dtype`: integers take integer constants and integer uniforms only.
 * E_ARGUMENT where it is none, or needs fans that `shape` does not have.
 */
export function checkInitializer(where: string, initializer: Initializer, dtype: DType, shape: Shape): void {
  if (!(kinds as readonly unknown[]).includes((initializer as Initializer | null | undefined)?.kind))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: initializer is ${textOfValue(initializer)}, expected one such as flow.zerosInitializer()`,
    );
  if (initializer.kind === "varianceScaling") fansOf(where, shape, initializer.dataFormat);
  if (isFloat(dtype)) return;
  const fits =
    initializer.kind === "constant"
      ? Number.isInteger(initializer.value)
      : initializer.kind === "uniform" && !isFloat(initializer.dtype);
  if (!fits)
    throw new FlowError(
      "E_DTYPE",
      `${where}: a ${initializer.kind} initializer of floats cannot fill a ${dtype} variable; use constantInitializer or randomUniformInitializer with { dtype: "${dtype}" }`,
    );
}
