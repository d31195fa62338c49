import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { defaultThreads, usableCores } from "#src/engines/usable-cores.js";

type Files = Readonly<Record<string, string>>;
const read = (files: Files) => (path: string) => files[path];

const v2 = (group: string, files: Files, root = "/"): Files => ({
  "/proc/self/cgroup": `0::${group}\n`,
  "/proc/self/mountinfo": `22 1 0:21 / / rw - overlay overlay rw
31 22 0:28 ${root} /sys/fs/cgroup ro,nosuid shared:9 - cgroup2 cgroup rw,nsdelegate
`,
  ...files,
});

const v1 = (group: string, root: string, files: Files): Files => ({
  "/proc/self/cgroup": `12:cpuset:${group}\n4:cpu,cpuacct:${group}\n1:name=systemd:${group}\n0::/elsewhere\n`,
  "/proc/self/mountinfo": `40 31 0:30 ${root} /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct
41 31 0:31 ${root} /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset
`,
  ...files,
});

test.each<[title: string, files: Files, cores: number]>([
  ["nothing that can be read", {}, 16],
  ["v2, no limit", v2("/", { "/sys/fs/cgroup/cpu.max": "max 100000\n" }), 16],
  ["v2, whole cores", v2("/", { "/sys/fs/cgroup/cpu.max": "400000 100000\n" }), 4],
  ["v2, a part of a core is rounded up", v2("/", { "/sys/fs/cgroup/cpu.max": "250000 100000\n" }), 3],
  ["v2, less than one core", v2("/", { "/sys/fs/cgroup/cpu.max": "10000 100000\n" }), 1],
  ["v2, more than the process may run on", v2("/", { "/sys/fs/cgroup/cpu.max": "6400000 100000\n" }), 16],
  [
    "v2, nested: the own group limits",
    v2("/a/b", { "/sys/fs/cgroup/a/cpu.max": "800000 100000\n", "/sys/fs/cgroup/a/b/cpu.max": "200000 100000\n" }),
    2,
  ],
  [
    "v2, nested: a group above limits",
    v2("/a/b", { "/sys/fs/cgroup/a/cpu.max": "300000 100000\n", "/sys/fs/cgroup/a/b/cpu.max": "max 100000\n" }),
    3,
  ],
  [
    "v2, nested: the file of the own group is missing",
    v2("/a/b/c", { "/sys/fs/cgroup/a/cpu.max": "300000 100000\n" }),
    3,
  ],
  ["v2, a group outside of the mount's", v2("/../x", { "/sys/fs/cgroup/cpu.max": "500000 100000\n" }), 5],
  ["v2, broken", v2("/", { "/sys/fs/cgroup/cpu.max": "many\n" }), 16],
  [
    "v2, a mount of a part: the group's path begins at its root",
    v2("/pod/one/job", { "/sys/fs/cgroup/job/cpu.max": "200000 100000\n" }, "/pod/one"),
    2,
  ],
  [
    "v1, no limit",
    v1("/", "/", {
      "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
      "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }),
    16,
  ],
  [
    "v1, a container that sees its own group as the root",
    v1("/docker/abc", "/docker/abc", {
      "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
      "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }),
    2,
  ],
  [
    "v1, nested: a group above limits",
    v1("/docker/abc", "/", {
      "/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "-1\n",
      "/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
      "/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us": "350000\n",
      "/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us": "50000\n",
    }),
    7,
  ],
])("%s", (_, files, cores) => expect(usableCores(read(files), 16)).toBe(cores));

test("native libraries choose by themselves where nothing limits them", () => {
  expect(defaultThreads(8, 8)).toBeUndefined();
  expect(defaultThreads(2, 8)).toBe(2);
});

test("of this machine: at least one, at most those the process may run on", () => {
  expect(usableCores()).toBeGreaterThanOrEqual(1);
  expect(usableCores()).toBeLessThanOrEqual(availableParallelism());
});
