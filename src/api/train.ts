/**
 * Saving, loading and initialising variables.
 * @module
 */

export { CheckPoint, type InitOptions, type LoadReport } from "../job/check-point.js";
