/**
 * Blocks of a job function that share a device or a prefix of names.
 * @module
 */

export { namespace } from "../graph/trace.js";
export { placement } from "../job/scope.js";
