/**
 * The first steps of a schedule, for the option `warmup` of schedulers.
 * @module
 */

export { constant, linear } from "../optim/warmup.js";
