export { type LeakyReluOptions, leakyRelu, relu } from "../ops/activation.js";
export { type Conv2dTransposeOptions, conv2d, conv2dTranspose } from "../ops/conv.js";
export { biasAdd } from "../ops/linalg.js";
export { logSoftmax, softmax, sparseSoftmaxCrossEntropyWithLogits } from "../ops/loss.js";
export { avgPool2d, maxPool2d } from "../ops/pool.js";
export { dropout } from "../ops/random.js";
