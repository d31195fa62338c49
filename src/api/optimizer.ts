/**
 * Optimizers, learning-rate schedules and gradient clipping.
 * @module
 */

export { Adam, type AdamOptions } from "../optim/adam.js";
export { type GradientClipping, Optimizer, type OptimizerOptions } from "../optim/optimizer.js";
export { PiecewiseConstantScheduler, type Schedule } from "../optim/schedule.js";
export { SGD, type SGDOptions } from "../optim/sgd.js";
export * as gradClipping from "./grad-clipping.js";
