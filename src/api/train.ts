export type { Rename } from "../checkpoint/rename.js";
export {
  CheckPoint,
  type InitOptions,
  type LoadOptions,
  type LoadReport,
  type SaveOptions,
} from "../job/check-point.js";
