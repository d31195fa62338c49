export { type Activation, type DenseOptions, dense } from "../layers/dense.js";
