/**
 * Data sets and batches on the host.
 * @module
 */

export { Batches } from "../data/batch.js";
export { type LoadMnistOptions, loadMnist } from "../data/mnist.js";
