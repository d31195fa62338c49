export { namespace } from "../graph/trace.js";
export { placement } from "../job/scope.js";
