export { namespace } from "../graph/trace.js";
export {
  consistentView,
  consistentViewEnabled,
  currentScope,
  mirroredView,
  mirroredViewEnabled,
  placement,
} from "../job/scope.js";
