/**
 * Saving, loading and initialising variables.
 * @module
 */

export type { Rename } from "../checkpoint/rename.js";
export {
  CheckPoint,
  type InitOptions,
  type LoadOptions,
  type LoadReport,
  type SaveOptions,
} from "../job/check-point.js";
export { type ManagedSaveOptions, type ManagerOptions, SimpleCheckPointManager } from "../job/check-point-manager.js";
export { onInterrupt, type Removable } from "../job/on-interrupt.js";
