/**
 * The environment of a cluster, as documented; this process computes alone.
 * @module
 */

export {
  ctrlPort,
  currentResource,
  dataPort,
  grpcUseNoSignal,
  init,
  logbuflevel,
  logDir,
  logtostderr,
  type Machine,
  machine,
  type Resource,
} from "../job/env.js";
