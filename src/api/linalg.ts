/**
 * Linear algebra.
 * @module
 */

export { matmul } from "../ops/linalg.js";
