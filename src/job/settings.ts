import { FlowError } from "../core/errors.js";
import { checkEngine } from "./config.js";
import { defaultSession } from "./session.js";

/** E_ARGUMENT once the session runs: what is set then would be ignored in silence. */
function idleSession(where: string): ReturnType<typeof defaultSession> {
  const session = defaultSession();
  if (session.running)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: the session is running; set it before the first job or CheckPoint call, or after clearDefaultSession()`,
    );
  return session;
}

/** Chooses the engine of this session: "onnx" (default) or "reference". */
export function engine(name: string): void {
  idleSession("config.engine").settings.engine = checkEngine(name);
}

/** Makes this session's randomness repeatable: initial values, dropout masks. An integer from 0 to 2^53 - 1. */
export function seed(value: number): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new FlowError("E_ARGUMENT", `config.seed: got ${value}, expected an integer from 0 to 2^53 - 1`);
  const session = idleSession("config.seed");
  if (session.seeded)
    throw new FlowError(
      "E_ARGUMENT",
      "config.seed: batches of a data source have used the seed; set it before reading them",
    );
  session.settings.seed = value;
}

/** Threads that one native call uses; all cores where not set.  @flow config.compute_thread_pool_size */
export function computeThreadPoolSize(threads: number): void {
  idleSession("config.computeThreadPoolSize").settings.threads = count("config.computeThreadPoolSize", threads);
}

/** Accepted as documented; one device is used.  @flow config.cpu_device_num */
export function cpuDeviceNum(devices: number): void {
  count("config.cpuDeviceNum", devices);
}

/** Accepted as documented; without a GPU it acts as cpuDeviceNum.  @flow config.gpu_device_num */
export function gpuDeviceNum(devices: number): void {
  count("config.gpuDeviceNum", devices);
}

function count(where: string, value: number): number {
  if (!Number.isInteger(value) || value < 1)
    throw new FlowError("E_ARGUMENT", `${where}: got ${value}, expected a positive integer`);
  return value;
}
