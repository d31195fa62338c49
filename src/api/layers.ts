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
export { type ConvOptions, conv1d, conv2d, conv3d } from "../layers/conv.js";
export { type DenseOptions, dense } from "../layers/dense.js";
export { type LayerNormOptions, layerNorm } from "../layers/layer-norm.js";
export { type PreluOptions, prelu } from "../layers/prelu.js";
export type { Activation } from "../layers/variable.js";
export {
  type LayerNormGradOptions,
  type LayerNormParamGradOptions,
  layerNormGrad,
  layerNormParamGrad,
} from "../ops/norm.js";
export { type Upsample2dOptions, upsample2d } from "../ops/upsample.js";
