export { type Activation, dense, type DenseOptions } from "../layers/dense.js";
