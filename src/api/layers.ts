/**
 * Layers: ops with their variables, which are named after the layer.
 * @module
 */

export {
  type BatchNormalizationAddOptions,
  type BatchNormalizationOptions,
  batchNormalization,
  batchNormalizationAddRelu,
  batchNormalizationRelu,
} from "../layers/batch-normalization.js";
export {
  type CategoricalOrdinalEncoderOptions,
  categoricalOrdinalEncoder,
} from "../layers/categorical-ordinal-encoder.js";
export { type Conv2dOptions, conv2d } from "../layers/conv2d.js";
export { type DenseOptions, dense } from "../layers/dense.js";
export { type LayerNormOptions, layerNorm } from "../layers/layer-norm.js";
export type { Activation } from "../layers/variable.js";
