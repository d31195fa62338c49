export { CheckPoint, type InitOptions, type LoadReport } from "../job/check-point.js";
