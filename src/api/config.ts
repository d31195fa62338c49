/**
 * Settings of the session: engine, seed, threads. Set them before the first job or CheckPoint call.
 * @module
 */

export { computeThreadPoolSize, cpuDeviceNum, engine, gpuDeviceNum, seed } from "../job/settings.js";
