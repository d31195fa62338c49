/**
 * Penalties on variables, for `getVariable` and the layers.
 * @module
 */

export { l1, l1L2, l2, type Regularizer } from "../variables/regularizers.js";
