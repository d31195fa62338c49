import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { posix } from "node:path";

/** The text of a file; undefined where it cannot be read. */
export type ReadText = (path: string) => string | undefined;

/**
 * Cores that this process can keep busy: those it may run on, and no more than the processor time that its control groups
 * (Linux, v1 and v2) grant lasts for, rounded up. Threads beyond that are stopped by the system until the next period, with what waits for them.
 */
export function usableCores(read: ReadText = readText, cores = availableParallelism()): number {
  return Math.max(1, Math.min(cores, Math.ceil(grantedCores(read))));
}

/**
 * Threads of one op where a program does not say: the usable cores where they are fewer than the machine has. Undefined else: native libraries
 * then take what the processor is best at (onnxruntime: one for each physical core), but count all of the machine.
 */
export function defaultThreads(usable = usableCores(), machine = cpus().length): number | undefined {
  return usable < machine ? usable : undefined;
}

/** Processor time for each unit of time that the process's control groups and those above them grant; Infinity where none limits it. */
function grantedCores(read: ReadText): number {
  const groups = (read("/proc/self/cgroup") ?? "").split("\n").map((line) => line.split(":"));
  let least = Infinity;
  for (const line of (read("/proc/self/mountinfo") ?? "").split("\n")) {
    const [place, system] = line.split(" - ");
    const [, , , root, mount] = place!.split(" ").map(unescaped);
    const [type, , options = ""] = system?.split(" ") ?? [];
    const version2 = type === "cgroup2";
    if (mount === undefined || !(version2 || (type === "cgroup" && options.split(",").includes("cpu")))) continue;
    const group = groups.find(([, of]) => (version2 ? of === "" : of?.split(",").includes("cpu")));
    if (group === undefined) continue;
    for (let folder = mount + below(root!, group.slice(2).join(":")); ; folder = posix.dirname(folder)) {
      least = Math.min(least, version2 ? quota2(folder, read) : quota1(folder, read));
      if (folder.length <= mount.length) break;
    }
  }
  return least;
}

/** A group's path under the root of a mount; "" where the mount does not show the group by that name, as in a container. */
function below(root: string, group: string): string {
  const prefix = root === "/" ? "" : root;
  const inside = group.startsWith(`${prefix}/`) && !group.split("/").includes("..");
  return inside ? group.slice(prefix.length).replace(/\/$/, "") : "";
}

const quota2 = (folder: string, read: ReadText): number => {
  const [quota, period] = (read(`${folder}/cpu.max`) ?? "max").trim().split(" ");
  return ratio(Number(quota), Number(period));
};

const quota1 = (folder: string, read: ReadText): number =>
  ratio(Number(read(`${folder}/cpu.cfs_quota_us`)), Number(read(`${folder}/cpu.cfs_period_us`)));

/** Infinity where the quota is "max", -1 or no number. */
const ratio = (quota: number, period: number): number => (quota > 0 && period > 0 ? quota / period : Infinity);

/** Blanks in mountinfo stand as `\040`. */
const unescaped = (field: string): string =>
  field.replace(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
