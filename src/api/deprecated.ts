/**
 * Older names.
 * @module
 */

export { namespace as variableScope } from "../graph/trace.js";
