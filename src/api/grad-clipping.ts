/**
 * Bounds on gradients, for the option `gradClipping` of optimizers.
 * @module
 */

export { byGlobalNorm } from "../optim/optimizer.js";
