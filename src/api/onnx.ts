/**
 * Jobs as ONNX models.
 * @module
 */

export { exportOnnx as export, type OnnxExportOptions } from "../job/export-onnx.js";
export type { ExportOptions } from "../job/exported-job.js";
