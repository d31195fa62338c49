import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { planLoad } from "#src/checkpoint/read.js";
import { type StoredVariable, saveCheckpoint } from "#src/checkpoint/write.js";
import type { Tensor } from "#src/core/tensor.js";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "onestep-write-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const weight: StoredVariable = { name: "dense-weight", dtype: "float32", shape: [2, 1], fileName: "out" };
const step: StoredVariable = { name: "System-Train-TrainStep-train_job", dtype: "int64", shape: [1], fileName: "out" };
const tensors: Record<string, Tensor> = {
  [weight.name]: { dtype: "float32", shape: [2, 1], data: new Float32Array([1, -2]) },
  [step.name]: { dtype: "int64", shape: [1], data: new BigInt64Array([600n]) },
};
const read = async (name: string): Promise<Tensor> => tensors[name]!;
const state = { seed: 7, calls: { train_job: 600, eval_job: 3 } };
const save = (dir: string) => saveCheckpoint(dir, [weight, step], read, state);
const coded = (code: string) => expect.objectContaining({ name: "FlowError", code });
const tree = (dir: string): string[] => readdirSync(dir, { recursive: true }).map(String).sort();

describe("saveCheckpoint", () => {
  test("writes exactly these bytes", async () => {
    const dir = join(root, "m");
    await save(dir);
    expect(tree(dir)).toEqual(
      [
        "System-Train-TrainStep-train_job",
        "System-Train-TrainStep-train_job/meta",
        "System-Train-TrainStep-train_job/out",
        "dense-weight",
        "dense-weight/meta",
        "dense-weight/out",
        "onestep.json",
        "snapshot_done",
      ].map((path) => path.replaceAll("/", process.platform === "win32" ? "\\" : "/")),
    );
    expect(readFileSync(join(dir, "dense-weight/out")).toString("hex")).toBe("0000803f000000c0");
    expect(readFileSync(join(dir, step.name, "out")).toString("hex")).toBe("5802000000000000");
    const sha256 = createHash("sha256").update(Buffer.from("0000803f000000c0", "hex")).digest("hex");
    expect(readFileSync(join(dir, "dense-weight/meta"), "utf8")).toBe(
      `{"dtype":"float32","shape":[2,1],"sha256":"${sha256}"}\n`,
    );
    const text = '{"format":1,"seed":7,"calls":{"eval_job":3,"train_job":600}';
    expect(readFileSync(join(dir, "onestep.json"), "utf8")).toBe(
      `${text},"sha256":"${createHash("sha256").update(`${text}}`).digest("hex")}"}\n`,
    );
    expect(statSync(join(dir, "snapshot_done")).isDirectory()).toBe(true);
    expect(readdirSync(root)).toEqual(["m"]);
  });

  test("uses the variable's file name", async () => {
    await saveCheckpoint(join(root, "m"), [{ ...weight, fileName: "w.bin" }], read, state);
    expect(readdirSync(join(root, "m", weight.name)).sort()).toEqual(["meta", "w.bin"]);
  });

  test("fills an empty directory, also through a link and with a slash at the end", async () => {
    mkdirSync(join(root, "m"));
    await save(`${join(root, "m")}/`);
    mkdirSync(join(root, "real"));
    symlinkSync("real", join(root, "link"));
    await save(join(root, "link"));
    expect(tree(join(root, "real"))).toEqual(tree(join(root, "m")));
    expect(readdirSync(root).sort()).toEqual(["link", "m", "real"]);
  });

  test("refuses an occupied path each time, and leaves it alone", async () => {
    const dir = join(root, "m");
    await save(dir);
    const before = readFileSync(join(dir, "dense-weight/out"));
    for (let i = 0; i < 3; i++) {
      await expect(save(dir)).rejects.toThrow(coded("E_CKPT_EXISTS"));
      await expect(save(dir)).rejects.toThrow("exists and is not empty, expected a new path or an empty directory");
    }
    expect(readFileSync(join(dir, "dense-weight/out"))).toEqual(before);
    writeFileSync(join(root, "file"), "x");
    await expect(save(join(root, "file"))).rejects.toThrow("exists and is not a directory");
    await expect(save(`${join(root, "file")}/`)).rejects.toThrow(coded("E_CKPT_EXISTS"));
    symlinkSync("nowhere", join(root, "dangling"));
    await expect(save(join(root, "dangling"))).rejects.toThrow("exists and is a link to nothing");
    rmSync(dir, { recursive: true });
    await save(dir);
    expect(readdirSync(root).sort()).toEqual(["dangling", "file", "m"]);
  });

  test("needs a parent, and a path", async () => {
    await expect(save(join(root, "a/m"))).rejects.toThrow(coded("E_CKPT_DIR"));
    await expect(save(join(root, "a/m"))).rejects.toThrow(
      `its parent '${join(root, "a")}' does not exist; create that directory first`,
    );
    writeFileSync(join(root, "file"), "x");
    await expect(save(join(root, "file/m"))).rejects.toThrow("is not a directory; create that directory first");
    await expect(save("")).rejects.toThrow(coded("E_CKPT_DIR"));
    expect(readdirSync(root)).toEqual(["file"]);
  });

  test.each(["../../evil", "/evil", "a/b", "..", "snapshot_done"])(
    "never makes a path of the name %s",
    async (name) => {
      await expect(saveCheckpoint(join(root, "m"), [{ ...weight, name }], read, state)).rejects.toThrow(
        coded("E_NAME"),
      );
      await expect(saveCheckpoint(join(root, "m"), [{ ...weight, fileName: name }], read, state)).rejects.toThrow(
        coded("E_NAME"),
      );
      expect(readdirSync(root)).toEqual([]);
    },
  );

  test("refuses names that differ only in case", async () => {
    const variables = [weight, { ...weight, name: "Dense-Weight" }];
    await expect(saveCheckpoint(join(root, "m"), variables, read, state)).rejects.toThrow(coded("E_NAME"));
  });

  test("removes what it wrote when a variable cannot be read", async () => {
    const failing = async (name: string): Promise<Tensor> => {
      if (name === step.name) throw new Error("engine closed");
      return tensors[name]!;
    };
    await expect(saveCheckpoint(join(root, "m"), [weight, step], failing, state)).rejects.toThrow("engine closed");
    expect(readdirSync(root)).toEqual([]);
  });

  test("of many saves to one path exactly one wins", async () => {
    const dir = join(root, "m");
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => save(dir)));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const result of results)
      if (result.status === "rejected") expect(result.reason).toEqual(coded("E_CKPT_EXISTS"));
    expect(readdirSync(root)).toEqual(["m"]);
    expect((await planLoad(dir, [weight, step])).values.size).toBe(2);
  });

  test("the event loop turns while it hashes and writes", async () => {
    const big: StoredVariable = { name: "big", dtype: "uint8", shape: [64 << 20], fileName: "out" };
    const tensor: Tensor = { dtype: "uint8", shape: big.shape, data: new Uint8Array(64 << 20) };
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await saveCheckpoint(join(root, "m"), [big], async () => tensor, state);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
  });

  test("a full disk leaves nothing behind", async (context) => {
    if (process.platform !== "linux" || process.getuid!() !== 0) context.skip("a small tmpfs needs root on Linux");
    const disk = join(root, "disk");
    mkdirSync(disk);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], { stdio: "pipe" });
    } catch (error) {
      context.skip(`tmpfs cannot be mounted here: ${(error as Error).message}`);
    }
    try {
      const dir = join(disk, "m");
      const big: StoredVariable = { name: "big", dtype: "float32", shape: [100_000], fileName: "out" };
      const tensor: Tensor = { dtype: "float32", shape: big.shape, data: new Float32Array(100_000) };
      for (const occupied of [false, true]) {
        if (occupied) mkdirSync(dir);
        const failure: unknown = await saveCheckpoint(
          dir,
          [weight, big],
          async (name) => tensors[name] ?? tensor,
          state,
        ).catch((error) => error);
        expect(failure).toEqual(coded("E_CKPT_IO"));
        expect((failure as Error).message).toContain(`checkpoint.save('${dir}'): ENOSPC`);
        expect((failure as Error).message).toContain(`'${dir}' is unchanged`);
        expect((failure as Error).cause).toMatchObject({ code: "ENOSPC" });
        expect(readdirSync(disk)).toEqual(occupied ? ["m"] : []);
      }
      await save(dir);
    } finally {
      execFileSync("umount", [disk]);
    }
  });

  test("a parent without write permission is one clear error", async (context) => {
    if (process.platform === "win32") context.skip("Windows has no such permission");
    const isRoot = process.getuid!() === 0;
    mkdirSync(join(root, "locked"), { mode: 0o555 });
    execFileSync("chmod", ["755", root]);
    if (isRoot) process.seteuid!(65534);
    try {
      const failure: unknown = await save(join(root, "locked/m")).catch((error) => error);
      expect(failure).toEqual(coded("E_CKPT_IO"));
      expect((failure as Error).cause).toMatchObject({ code: "EACCES" });
    } finally {
      if (isRoot) process.seteuid!(0);
    }
  });
});

describe("after a crash", () => {
  const many = Array.from(
    { length: 20 },
    (_, i): StoredVariable => ({ name: `v${i}`, dtype: "float32", shape: [5000], fileName: "out" }),
  );
  const script = `
    import { renameSync, rmSync } from "node:fs";
    import { saveCheckpoint } from ${JSON.stringify(new URL("../../dist/checkpoint/write.js", import.meta.url).href)};
    const variables = ${JSON.stringify(many)};
    for (let i = 1; ; i++) {
      const tensor = { dtype: "float32", shape: [5000], data: new Float32Array(5000).fill(i) };
      await saveCheckpoint(process.argv[1] + "/m" + i % 2, variables, async () => tensor, { seed: i, calls: {} });
      if (i === 1) process.stdout.write("saving");
      // Renamed first: a removal that is killed half-way must not look like a save that was.
      rmSync(process.argv[1] + "/old", { recursive: true, force: true });
      const previous = process.argv[1] + "/m" + (i + 1) % 2;
      try { renameSync(previous, process.argv[1] + "/old"); } catch {}
    }
  `;
  const leftovers = () => readdirSync(root).filter((name) => name.endsWith(".saving"));

  test("kill -9 at any moment: the target is absent or complete", { timeout: 120_000 }, async () => {
    let interrupted = 0;
    for (let round = 0; round < 15; round++) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", script, root], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await once(child.stdout, "data");
      await sleep(Math.random() * 60);
      child.kill("SIGKILL");
      await once(child, "exit");
      interrupted += leftovers().length > 0 ? 1 : 0;
      for (const dir of ["m0", "m1"].map((name) => join(root, name)).filter((path) => existsSync(path))) {
        const plan = await planLoad(dir, many);
        expect(plan).toMatchObject({ missing: [], warnings: [] });
        const values = new Set([...plan.values.values()].flatMap(({ data }) => [...(data as Float32Array)]));
        expect([...values]).toEqual([plan.state!.seed]);
        expect(existsSync(join(dir, "snapshot_done"))).toBe(true);
      }
      for (const name of leftovers())
        await expect(planLoad(join(root, name), many)).rejects.toThrow(coded("E_CKPT_DIR"));
      for (const name of ["m0", "m1"]) {
        rmSync(join(root, name), { recursive: true, force: true });
        await save(join(root, name));
        rmSync(join(root, name), { recursive: true });
      }
      expect(leftovers()).toEqual([]);
      rmSync(join(root, "old"), { recursive: true, force: true });
    }
    expect(interrupted).toBeGreaterThan(0);
  });

  test("sweeps dead leftovers only", async () => {
    const child = spawn(process.execPath, ["-e", "0"]);
    await once(child, "exit");
    // A save that runs now tells this machine's part of the name.
    let own = "";
    const spy = async (name: string): Promise<Tensor> => {
      own = leftovers()[0]!;
      return tensors[name]!;
    };
    await saveCheckpoint(join(root, "m"), [weight], spy, state);
    const host = /([0-9a-f]{8})-\d+-/.exec(own)![1]!;
    const make = (name: string, aged = false): string => {
      mkdirSync(join(root, name, "v0"), { recursive: true });
      if (aged) utimesSync(join(root, name), new Date(0), new Date(0));
      return name;
    };
    make(`.m2.${host}-${child.pid}-000000000001.saving`);
    make(".m2.00000000-1-000000000002.saving", true);
    make(`.m3.${host}-${child.pid}-000000000005.saving`);
    const kept = [
      make(`.m2.${host}-${process.pid}-000000000003.saving`),
      make(`.m2.00000000-${child.pid}-000000000004.saving`),
      make(".m3.00000000-1-000000000006.saving", true),
      make(".m2.saving"),
    ];
    await save(join(root, "m2"));
    expect(readdirSync(root).sort()).toEqual([...kept, "m", "m2"].sort());
  });

  test("two processes at one path: one wins", async () => {
    const dir = join(root, "m");
    const racer = `
      import { saveCheckpoint } from ${JSON.stringify(new URL("../../dist/checkpoint/write.js", import.meta.url).href)};
      const tensor = { dtype: "float32", shape: [5000], data: new Float32Array(5000).fill(process.pid) };
      const end = await saveCheckpoint(process.argv[1], ${JSON.stringify(many)}, async () => tensor, { seed: process.pid, calls: {} })
        .then(() => "saved", (error) => error.code);
      process.stdout.write(end);
    `;
    const ends = await Promise.all(
      [0, 1, 2].map(async () => {
        const child = spawn(process.execPath, ["--input-type=module", "-e", racer, dir], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        return (await child.stdout.toArray()).join("");
      }),
    );
    expect(ends.sort()).toEqual(["E_CKPT_EXISTS", "E_CKPT_EXISTS", "saved"]);
    const plan = await planLoad(dir, many);
    for (const { data } of plan.values.values()) expect(data[0]).toBe(plan.state!.seed);
    expect(readdirSync(root)).toEqual([basename(dir)]);
  });
});
