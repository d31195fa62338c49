/**
 * Losses of the interface before optimizers.
 * @module
 */

export { addLoss } from "../optim/losses.js";
