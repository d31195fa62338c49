/**
 * Jobs as ONNX models.
 * @module
 */

export { exportOnnx as export, type OnnxExportOptions } from "../job/export-onnx.js";
