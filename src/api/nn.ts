export { relu } from "../ops/elementwise.js";
export { biasAdd } from "../ops/linalg.js";
export { logSoftmax, softmax, sparseSoftmaxCrossEntropyWithLogits } from "../ops/loss.js";
export { dropout } from "../ops/random.js";
