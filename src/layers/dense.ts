import { checkOptions, FlowError, plainText } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { namespace, textOf } from "../graph/trace.js";
import { constantInitializer, type Initializer } from "../initializers/initializer.js";
import { requireFloat } from "../ops/define.js";
import { biasAdd, matmul } from "../ops/linalg.js";
import { reshape } from "../ops/structure.js";
import type { Regularizer } from "../variables/regularizers.js";
import { type Activation, layerVariable, requireActivation } from "./variable.js";

/** Options of `dense`. */
export interface DenseOptions {
  /** Applied to the sum, such as `flow.nn.relu`; default none. */
  readonly activation?: Activation;
  /** Default true. */
  readonly useBias?: boolean;
  /** Default zeros, as documented. */
  readonly kernelInitializer?: Initializer;
  /** Default zeros. */
  readonly biasInitializer?: Initializer;
  /** A penalty on the kernel; default none. */
  readonly kernelRegularizer?: Regularizer;
  /** A penalty on the bias; default none. */
  readonly biasRegularizer?: Regularizer;
  /** Default true. */
  readonly trainable?: boolean;
  /** Default "Dense"; two layers of one name in a job are an error. */
  readonly name?: string;
  /** Accepted as documented; on one device it changes nothing. */
  readonly modelDistribute?: unknown;
}

const known = [
  "activation",
  "useBias",
  "kernelInitializer",
  "biasInitializer",
  "kernelRegularizer",
  "biasRegularizer",
  "trainable",
  "name",
  "modelDistribute",
] as const;

/**
 * `activation(x Wᵀ + b)` over the last axis: variables `<name>-weight` of shape [units, in] and `<name>-bias` [units],
 * of the input's dtype. An input of rank above 2 is flattened to rows and its shape restored after.
 * @flow layers.dense
 * @example
 * ```ts job
 * // x = [[1, 2, 3]]
 * const ones = flow.onesInitializer();
 * flow.layers.dense(x, 2, { kernelInitializer: ones, name: "out" }); // -> [[6, 6]]
 * flow.getVariable("out-weight").shape; // -> [2, 3]
 * ```
 */
export function dense(inputs: Blob, units: number, options: DenseOptions = {}): Blob {
  checkOptions("layers.dense", options, known);
  requireFloat("layers.dense", inputs, "inputs");
  const {
    activation,
    useBias = true,
    kernelInitializer = constantInitializer(0),
    biasInitializer = constantInitializer(0),
    kernelRegularizer,
    biasRegularizer,
    trainable = true,
    name = "Dense",
  } = options;
  requireActivation(`layers.dense '${name}'`, activation);
  if (inputs.shape.length < 2)
    throw new FlowError(
      "E_SHAPE",
      `layers.dense '${name}': inputs are ${textOf(inputs)}, expected a rank of at least 2; reshape them`,
    );
  if (!Number.isInteger(units) || units < 1)
    throw new FlowError(
      "E_ARGUMENT",
      `layers.dense '${name}': units is ${plainText(units)}, expected a positive integer`,
    );
  const width = inputs.shape.at(-1)!;
  const rows = inputs.shape.length > 2 ? reshape(inputs, [-1, width]) : inputs;
  const common = { dtype: inputs.dtype, trainable };
  const output = namespace(name, () => {
    const weight = layerVariable("weight", {
      ...common,
      shape: [units, width],
      initializer: kernelInitializer,
      regularizer: kernelRegularizer,
    });
    const product = matmul(rows, weight, { transposeB: true, name: "matmul" });
    const bias = (): Blob =>
      layerVariable("bias", {
        ...common,
        shape: [units],
        initializer: biasInitializer,
        regularizer: biasRegularizer,
      });
    const biased = useBias ? biasAdd(product, bias(), { name: "bias_add" }) : product;
    return activation == null ? biased : activation(biased, { name: "activation" });
  });
  return inputs.shape.length > 2 ? reshape(output, [...inputs.shape.slice(0, -1), units]) : output;
}
