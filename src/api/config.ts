export { computeThreadPoolSize, cpuDeviceNum, engine, gpuDeviceNum, seed } from "../job/settings.js";
