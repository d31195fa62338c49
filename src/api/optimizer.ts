/**
 * Optimizers, learning-rate schedules and gradient clipping.
 * @module
 */

export { Adam, type AdamOptions } from "../optim/adam.js";
export { AdamW, type AdamWOptions } from "../optim/adamw.js";
export { CustomScheduler } from "../optim/custom-schedule.js";
export {
  type CosineOptions,
  CosineScheduler,
  type DecayOptions,
  ExponentialScheduler,
  InverseTimeScheduler,
  type LinearCosineOptions,
  LinearCosineScheduler,
  NaturalExpScheduler,
  type PolynomialOptions,
  PolynomialSchduler,
  PolynomialSchduler as PolynomialScheduler,
} from "../optim/decay.js";
export { LAMB, type LAMBOptions } from "../optim/lamb.js";
export { LARS, type LARSOptions } from "../optim/lars.js";
export { LazyAdam, type LazyAdamOptions } from "../optim/lazy-adam.js";
export { type GradientClipping, Optimizer, type OptimizerOptions } from "../optim/optimizer.js";
export { PiecewiseConstantScheduler, PiecewiseScalingScheduler } from "../optim/piecewise.js";
export { RMSProp, type RMSPropOptions } from "../optim/rmsprop.js";
export type { Schedule, ScheduleOptions } from "../optim/schedule.js";
export { SGD, type SGDOptions, SGDW, type SGDWOptions } from "../optim/sgd.js";
export type { Warmup } from "../optim/warmup.js";
export * as gradClipping from "./grad-clipping.js";
export * as warmup from "./warmup.js";
