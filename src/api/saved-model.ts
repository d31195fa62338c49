/**
 * Jobs as TensorFlow SavedModels.
 * @module
 */

export { exportSavedModel as export } from "../job/export-saved-model.js";
export type { ExportOptions } from "../job/exported-job.js";
