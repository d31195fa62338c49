/**
 * Blocks of a job function that share a device or a prefix of names.
 * @module
 */

export { namespace } from "../graph/trace.js";
export {
  consistentView,
  consistentViewEnabled,
  currentScope,
  mirroredView,
  mirroredViewEnabled,
  placement,
  recompute,
} from "../job/scope.js";
