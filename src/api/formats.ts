/**
 * Model files of other programs: safetensors and npz.
 * @module
 */

export {
  type ReadArraysOptions,
  readArrays as read,
  type WriteArraysOptions,
  writeArrays as write,
} from "../formats/arrays.js";
export { bertFromTensorflow, bertToTensorflow, type NamePreset } from "../formats/bert-names.js";
export { type ConvertOptions, type ConvertReport, convert } from "../formats/convert.js";
