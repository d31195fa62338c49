export { Batches } from "../data/batch.js";
export { loadMnist, type LoadMnistOptions } from "../data/mnist.js";
