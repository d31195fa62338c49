import { FlowError } from "../core/errors.js";
import { synchronous } from "../graph/trace.js";

let warned = false;

/**
 * Runs `fn` with ops placed on a device: tag "cpu" or "gpu", ids like "0:0" or "0:0-3". The engines here run on the
 * CPU; "gpu" does too and says so once on stderr.
 * @flow scope.placement
 * @example
 * ```ts job
 * // x = [1, 2]
 * flow.scope.placement("cpu", "0:0", () => x.add(1)); // -> [2, 3]
 * ```
 */
export function placement<T>(deviceTag: string, machineDeviceIds: string | readonly string[], fn: () => T): T {
  const where = "scope.placement";
  if (deviceTag !== "cpu" && deviceTag !== "gpu")
    throw new FlowError("E_DEVICE", `${where}: device tag is '${String(deviceTag)}', expected "cpu" or "gpu"`);
  for (const id of typeof machineDeviceIds === "string" ? [machineDeviceIds] : machineDeviceIds) {
    const match = /^(\d+):(\d+)(?:-(\d+))?$/.exec(String(id));
    if (match === null || Number(match[3] ?? match[2]) < Number(match[2]))
      throw new FlowError(
        "E_DEVICE",
        `${where}: device '${String(id)}' is malformed, expected machine:device or machine:first-last, such as "0:0" or "0:0-3"`,
      );
  }
  if (typeof fn !== "function")
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: the third argument is ${typeof fn}, expected a function to run on the device`,
    );
  if (deviceTag === "gpu" && !warned) {
    warned = true;
    process.stderr.write('onestep: scope.placement("gpu"): no GPU engine here, running on the CPU\n');
  }
  return synchronous(where, fn());
}
