/**
 * Variables by name from outside jobs, and other names that OneFlow kept apart.
 * @module
 */

export { namespace as nameScope } from "../graph/trace.js";
export { getInterfaceBlobValue, setInterfaceBlobValue } from "../job/interface-blob.js";
export { enableTypingCheck } from "../job/settings.js";
export { squareSum } from "../ops/reduce.js";
export { type UniqueWithCountsOptions, uniqueWithCounts } from "../ops/selection.js";
