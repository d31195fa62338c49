export { namespace as nameScope } from "../graph/trace.js";
export { getInterfaceBlobValue, setInterfaceBlobValue } from "../job/interface-blob.js";
export { enableTypingCheck } from "../job/settings.js";
