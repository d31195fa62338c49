import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as flow from "onestep";
import { beforeEach, describe, expect, test } from "vitest";
import { saveCheckpoint } from "#src/checkpoint/write.js";
import { scratch } from "../formats/support.js";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
let root: string;
beforeEach(() => {
  root = scratch();
});

/** Runs the command in the scratch folder. */
function onestep(...args: string[]): { readonly code: number | null; readonly out: string; readonly err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { cwd: root, encoding: "utf8" });
  for (const text of [stdout, stderr]) expect(text).not.toContain("\u001b");
  return { code: status, out: stdout, err: stderr };
}

const f32 = (values: readonly number[], shape = [values.length]): flow.NdArray =>
  new flow.NdArray(Float32Array.from(values), shape);
const step = (count: bigint): flow.NdArray => new flow.NdArray(BigInt64Array.of(count), [1]);
async function save(dir: string, arrays: Readonly<Record<string, flow.NdArray>>): Promise<void> {
  const variables = Object.entries(arrays).map(([name, { dtype, shape }]) => ({ name, dtype, shape, fileName: "out" }));
  const state = { seed: 7, calls: { train_job: 3 } };
  await saveCheckpoint(join(root, dir), variables, async (name) => arrays[name]!, state);
}
const small = { "dense1-bias": f32([Number.NaN, 1, 3]), "dense1-weight": f32([1, 2, 3, 4], [2, 2]) };

describe("inspect", () => {
  test("shows type, bytes, range, mean, deviation, NaN, state and mark", async () => {
    await save("m", small);
    expect(onestep("inspect", "m")).toEqual({
      code: 0,
      err: "",
      out: [
        "name           type          bytes  min  mean  max    std  NaN",
        "dense1-bias    float32[3]       12    1     2    3      1    1",
        "dense1-weight  float32[2,2]     16    1   2.5    4  1.118    0",
        "2 variables, 28 bytes",
        "seed 7; calls: train_job 3",
        "complete",
        "",
      ].join("\n"),
    });
  });

  test("--json parses, and has what JSON cannot say as strings", async () => {
    await save("m", { ...small, big: step(2n ** 60n), i: f32([Infinity, 1]) });
    const { code, out } = onestep("inspect", "m", "--json");
    expect(code).toBe(0);
    const json = JSON.parse(out) as { variables: Record<string, unknown>[] } & Record<string, unknown>;
    expect(json).toMatchObject({
      format: "directory",
      finished: true,
      marked: true,
      seed: 7,
      calls: { train_job: 3 },
      bytes: 44,
    });
    expect(json.variables).toEqual([
      {
        name: "big",
        dtype: "int64",
        shape: [1],
        bytes: 8,
        min: "1152921504606846976",
        max: "1152921504606846976",
        mean: 2 ** 60,
        std: 0,
        nan: 0,
        infinite: 0,
      },
      {
        name: "dense1-bias",
        dtype: "float32",
        shape: [3],
        bytes: 12,
        min: 1,
        max: 3,
        mean: 2,
        std: 1,
        nan: 1,
        infinite: 0,
      },
      {
        name: "dense1-weight",
        dtype: "float32",
        shape: [2, 2],
        bytes: 16,
        min: 1,
        max: 4,
        mean: 2.5,
        std: Math.sqrt(1.25),
        nan: 0,
        infinite: 0,
      },
      {
        name: "i",
        dtype: "float32",
        shape: [2],
        bytes: 8,
        min: 1,
        max: "Infinity",
        mean: 1,
        std: 0,
        nan: 0,
        infinite: 1,
      },
    ]);
  });

  test("says when the save did not finish, and reads nothing but sizes with --no-values", async () => {
    await save("m", small);
    rmSync(join(root, "m", "snapshot_done"), { recursive: true });
    expect(onestep("inspect", "m", "--no-values").out).toContain("complete, though without snapshot_done");
    rmSync(join(root, "m", "dense1-bias", "meta"));
    const { out } = onestep("inspect", "m", "--no-values");
    expect(out).toContain("dense1-bias    ?                12\n");
    expect(out).toContain("no snapshot_done: the save did not finish");
    expect(out).not.toContain("mean");
    expect(onestep("inspect", "m").out).toMatch(/dense1-bias {4}\? {16}12 +- +- +- +- +-\n/);
  });

  test("no line is longer than 80 columns but for a single name", async () => {
    const long = `bert-encoder-layer_11-attention-output-LayerNorm-${"g".repeat(60)}`;
    const shape = Array.from({ length: 12 }, () => 1);
    await save("m", {
      ...small,
      [long]: f32([1e-12, -3.3e30], [1, 2]),
      deep: f32([0.000123456], shape),
      "System-Train-TrainStep-a_rather_long_job": step(5n),
    });
    await save("n", { ...small, [long]: f32([1e-12, 3.3e30], [1, 2]), deep: f32([-0.000123456], shape), x: step(1n) });
    for (const args of [
      ["inspect", "m"],
      ["diff", "m", "n"],
      ["verify", "m"],
      ["--help"],
      ["convert", "--help"],
      ["prune", "--help"],
      ["diff", "--help"],
      ["rename", "--help"],
      ["inspect", "--help"],
      ["verify", "--help"],
    ]) {
      const wide = onestep(...args)
        .out.split("\n")
        .filter((line) => line.length > 80 && line.trim().includes(" "));
      expect(wide, args.join(" ")).toEqual([]);
    }
  });

  test("memory stays flat over a large file", () => {
    const script = `
      const { statisticsOf } = await import(${JSON.stringify(new URL("../../dist/formats/statistics.js", import.meta.url).href)});
      const { openModel } = await import(${JSON.stringify(new URL("../../dist/formats/open.js", import.meta.url).href)});
      const fs = await import("node:fs");
      const header = Buffer.from('{"x":{"dtype":"F32","shape":[67108864],"data_offsets":[0,268435456]}}'.padEnd(80));
      const start = Buffer.alloc(8); start.writeUInt32LE(header.length);
      const file = fs.openSync("big.safetensors", "w");
      fs.writeSync(file, Buffer.concat([start, header]));
      fs.ftruncateSync(file, 88 + 268435456);
      fs.closeSync(file);
      const model = await openModel("test", "big.safetensors");
      const before = process.memoryUsage.rss();
      let peak = before;
      const watch = setInterval(() => { peak = Math.max(peak, process.memoryUsage.rss()); }, 5);
      const { max } = await statisticsOf(model.variables[0]);
      clearInterval(watch);
      await model.close();
      console.log(JSON.stringify({ max, grown: peak - before }));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      cwd: root,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    const { max, grown } = JSON.parse(stdout) as { max: number; grown: number };
    expect(max).toBe(0);
    expect(grown).toBeLessThan(64 << 20);
  });
});

describe("verify", () => {
  test("answers yes, in text and JSON, for a directory and for files", async () => {
    await save("m", small);
    expect(onestep("verify", "m")).toEqual({
      code: 0,
      out: "complete: 2 variables, 28 bytes, every hash matches\n",
      err: "",
    });
    expect(JSON.parse(onestep("verify", "m", "--json").out)).toMatchObject({
      finished: true,
      marked: true,
      problems: [],
    });
    for (const file of ["m.npz", "m.safetensors"]) {
      onestep("convert", "m", file);
      expect(onestep("verify", file)).toEqual({ code: 0, out: "complete: 2 variables, 28 bytes\n", err: "" });
      expect(JSON.parse(onestep("verify", file, "--json").out)).toMatchObject({ finished: true });
    }
  });

  test("answers no for damage; --accept takes a deliberate edit", async () => {
    await save("m", small);
    writeFileSync(join(root, "m", "dense1-bias", "out"), Buffer.alloc(12));
    const { code, out, err } = onestep("verify", "m");
    expect([code, err]).toEqual([1, ""]);
    expect(out).toContain("onestep verify --accept");
    expect(out).toContain("damaged: 1 problem in 2 variables, 28 bytes\n");
    const json = JSON.parse(onestep("verify", "m", "--json").out) as { problems: { code: string }[] };
    expect(json.problems.map((problem) => problem.code)).toEqual(["E_CKPT_HASH"]);
    expect(onestep("verify", "m", "--accept")).toEqual({
      code: 0,
      out: "accepted dense1-bias\ncomplete: 2 variables, 28 bytes, every hash matches\n",
      err: "",
    });
    expect(onestep("verify", "m").code).toBe(0);
    writeFileSync(join(root, "m", "dense1-bias", "out"), Buffer.alloc(11));
    expect(onestep("verify", "m").out).toContain("E_CKPT_SIZE");
    expect(onestep("verify", "m", "--accept")).toMatchObject({ code: 2, out: "" });
  });

  test("answers no for an unfinished save and a cut file", async () => {
    await save("m", small);
    rmSync(join(root, "m", "snapshot_done"), { recursive: true });
    rmSync(join(root, "m", "dense1-bias", "meta"));
    expect(onestep("verify", "m")).toMatchObject({
      code: 1,
      out: "not finished: no snapshot_done, and 1 of 2 variables, 28 bytes have no meta\n",
    });
    await flow.formats.write(join(root, "m.safetensors"), small);
    const bytes = readFileSync(join(root, "m.safetensors"));
    writeFileSync(join(root, "m.safetensors"), bytes.subarray(0, -1));
    const { code, out } = onestep("verify", "m.safetensors");
    expect(code).toBe(1);
    expect(out).toContain("E_FORMAT");
    expect(JSON.parse(onestep("verify", "m.safetensors", "--json").out)).toMatchObject({ finished: false });
  });
});

describe("diff", () => {
  test("answers yes for equal models of any format, NaN included", async () => {
    await save("m", small);
    onestep("convert", "m", "m.npz");
    expect(onestep("diff", "m", "m.npz")).toEqual({ code: 0, out: "2 of 2 variables equal\n", err: "" });
  });

  test("answers no, and says how", async () => {
    await save("a", {
      same: f32([1]),
      moved: f32([1, 2, 4]),
      turned: f32([1, 2], [1, 2]),
      "only-a": f32([1]),
      n: f32([Number.NaN]),
    });
    await save("b", {
      same: f32([1]),
      moved: f32([1, 2.5, 3]),
      turned: f32([1, 2], [2, 1]),
      "only-b": f32([1]),
      n: f32([1]),
    });
    expect(onestep("diff", "a", "b")).toEqual({
      code: 1,
      err: "",
      out: [
        "only in a: only-a",
        "only in b: only-b",
        "turned is float32[1,2] in the first, float32[2,1] in the second",
        "name   type        different   max abs   max rel",
        "moved  float32[3]     2 of 3         1      0.25",
        "n      float32[1]     1 of 1  Infinity  Infinity",
        "1 of 6 variables equal",
        "",
      ].join("\n"),
    });
    const json = JSON.parse(onestep("diff", "a", "b", "--json").out) as Record<string, unknown>;
    expect(json).toMatchObject({ equal: false, onlyInFirst: ["only-a"], onlyInSecond: ["only-b"] });
    expect(json.variables).toContainEqual({
      name: "moved",
      type: "float32[3]",
      elements: 3,
      different: 2,
      maxAbsolute: 1,
      maxRelative: 0.25,
    });
    expect(onestep("diff", "a", "b", "--only", "moved", "--atol", "1").code).toBe(0);
    expect(onestep("diff", "a", "b", "--only", "moved", "--rtol", "0.3").code).toBe(1);
    expect(onestep("diff", "a", "b", "--only", "moved", "--rtol", "0.34").code).toBe(0);
    expect(onestep("diff", "a", "b", "--only", "movd")).toMatchObject({
      code: 2,
      err: "diff('a', 'b'): there is no variable 'movd'; did you mean 'moved'? [E_ARGUMENT]\n",
    });
  });
});

describe("rename and convert", () => {
  test("rename writes a copy and leaves the source", async () => {
    await save("m", small);
    expect(onestep("rename", "m", "dense1-*", "hidden-*", "--out", "n")).toEqual({
      code: 0,
      err: "",
      out: "dense1-bias -> hidden-bias\ndense1-weight -> hidden-weight\nwrote n: 2 variables, 28 bytes, 2 renamed\n",
    });
    expect(readdirSync(join(root, "n")).sort()).toEqual([
      "hidden-bias",
      "hidden-weight",
      "onestep.json",
      "snapshot_done",
    ]);
    expect(onestep("verify", "m").code).toBe(0);
    expect(onestep("verify", "n").code).toBe(0);
    expect(onestep("rename", "m", "dense1-bais", "x", "--out", "o").err).toContain("did you mean 'dense1-bias'?");
    expect(onestep("rename", "m", "dense1-bias", "--out", "o")).toMatchObject({ code: 2, out: "" });
    expect(onestep("rename", "m", "dense1-bias", "x").err).toContain("with --out PATH");
    expect(onestep("rename", "m", "dense1-bias", "dense1-weight", "--out", "o").err).toContain("of both");
    expect(onestep("rename", "m", "dense1-bias", "x", "--out", "n").err).toContain("E_CKPT_EXISTS");
    expect(existsSync(join(root, "o"))).toBe(false);
  });

  test("convert goes by extension, and says what is lost", async () => {
    await save("m", small);
    expect(onestep("convert", "m", "m.npz", "--exclude", "*-bias", "--rename", "dense1-weight=w")).toEqual({
      code: 0,
      out: "dense1-weight -> w\nwrote m.npz: 1 variable, 16 bytes, 1 renamed\n",
      err: "not kept: seed, call counts and extras: .npz files hold arrays only\n",
    });
    expect(onestep("convert", "m", "m.npz")).toMatchObject({ code: 2, out: "" });
    expect(onestep("convert", "m", "m.npz", "--force").code).toBe(0);
    await flow.formats.write(join(root, "google.npz"), { "bert/pooler/dense/kernel": f32([1]) });
    expect(onestep("convert", "google.npz", "bert", "--preset", "bert-tensorflow").out).toContain(
      "bert/pooler/dense/kernel -> bert-pooler-dense-weight",
    );
    expect(onestep("convert", "google.npz", "x", "--preset", "bert-tensorflw").err).toContain(
      "did you mean 'bert-tensorflow'?",
    );
    expect(onestep("convert", "m", "x", "--rename", "a").err).toContain("is no FROM=TO");
  });
});

describe("prune", () => {
  const at = (dir: string, count: bigint): Promise<void> =>
    save(dir, { w: f32([1]), "System-Train-TrainStep-train_job": step(count) });

  test("keeps the newest by recorded step, and only whole ones count", async () => {
    mkdirSync(join(root, "ms"));
    for (const [name, count] of [
      ["z", 100n],
      ["y", 200n],
      ["x", 300n],
      ["w", 400n],
      ["v", 500n],
    ] as const)
      await at(`ms/${name}`, count);
    writeFileSync(join(root, "ms", "v", "w", "out"), "xxxx");
    rmSync(join(root, "ms", "w", "snapshot_done"), { recursive: true });
    mkdirSync(join(root, "ms", "notes"));
    const before = readdirSync(join(root, "ms"));
    const dry = onestep("prune", "ms", "--keep-last", "2", "--dry-run");
    expect(dry).toEqual({
      code: 0,
      err: "",
      out: [
        "name  what                      step",
        "w     left alone: not finished   400",
        "z     would be removed           100",
        "y     kept                       200",
        "x     kept                       300",
        "v     left alone: damaged        500",
        "2 kept, 1 would be removed, 2 left alone",
        "",
      ].join("\n"),
    });
    expect(readdirSync(join(root, "ms"))).toEqual(before);
    const json = JSON.parse(onestep("prune", "ms", "--keep-last", "2", "--json").out) as {
      checkpoints: { name: string; action: string }[];
    };
    expect(json.checkpoints.map(({ name, action }) => `${name} ${action}`)).toEqual([
      "w leave",
      "z remove",
      "y keep",
      "x keep",
      "v leave",
    ]);
    expect(readdirSync(join(root, "ms")).sort()).toEqual(["notes", "v", "w", "x", "y"]);
  });

  test("the only good one stays, however old", async () => {
    mkdirSync(join(root, "ms"));
    for (const count of [1n, 2n, 3n]) await at(`ms/m${count}`, count);
    for (const broken of ["m2", "m3"]) writeFileSync(join(root, "ms", broken, "w", "out"), "xxxx");
    expect(onestep("prune", "ms", "--keep-last", "1").out).toContain("1 kept, 0 removed, 2 left alone");
    expect(existsSync(join(root, "ms", "m1", "snapshot_done"))).toBe(true);
  });

  test("a half deleted one is nothing, and goes with the next prune", async () => {
    mkdirSync(join(root, "ms"));
    await at("ms/m1", 1n);
    cpSync(join(root, "ms", "m1"), join(root, "ms", ".m0.0123456789ab.deleting"), { recursive: true });
    expect(onestep("prune", "ms", "--keep-last", "1").out).toContain("1 kept, 0 removed\n");
    expect(readdirSync(join(root, "ms"))).toEqual(["m1"]);
  });

  test("refuses what holds no checkpoints, and senseless numbers", async () => {
    await at("m", 1n);
    expect(onestep("prune", "m", "--keep-last", "1").err).toContain("is a checkpoint itself");
    mkdirSync(join(root, "empty"));
    expect(onestep("prune", "empty", "--keep-last", "1").err).toContain("holds no checkpoint");
    for (const number of ["0", "-1", "1.5", "x", ""]) expect(onestep("prune", ".", "--keep-last", number).code).toBe(2);
    expect(onestep("prune", ".").err).toContain("--keep-last 3");
    expect(existsSync(join(root, "m"))).toBe(true);
  });
});

describe("every command", () => {
  test("a mistyped command, option or path is answered with the nearest", async () => {
    await save("model", small);
    expect(onestep("inspct", "model")).toEqual({
      code: 2,
      out: "",
      err: "error: unknown command 'inspct'\n(Did you mean inspect?)\n",
    });
    expect(onestep("inspect", "model", "--jsno")).toEqual({
      code: 2,
      out: "",
      err: "error: unknown option '--jsno'\n(Did you mean --json?)\n",
    });
    expect(onestep("prune", "model", "--kep-last", "1").err).toContain("(Did you mean --keep-last?)");
    expect(onestep("inspect", "modle")).toEqual({
      code: 2,
      out: "",
      err: "inspect('modle'): 'modle' does not exist; did you mean 'model'? [E_CKPT_DIR]\n",
    });
    expect(onestep("inspect", "model", "dense1-wieght").err).toBe(
      "inspect('model'): there is no variable 'dense1-wieght'; did you mean 'dense1-weight'? [E_ARGUMENT]\n",
    );
  });

  test("trouble is 2, and tells what", async () => {
    for (const args of [
      ["inspect", "none"],
      ["verify", "none"],
      ["diff", "none", "none"],
      ["rename", "none", "a", "b", "--out", "x"],
      ["prune", "none", "--keep-last", "1"],
      ["convert", "none", "x"],
      ["inspect"],
      ["diff", "a"],
      [],
    ]) {
      const { code, out, err } = onestep(...args);
      expect([code, out], args.join(" ")).toEqual([2, ""]);
      expect(err).not.toContain("    at ");
      expect(err).not.toBe("");
    }
    expect(onestep("--version")).toMatchObject({ code: 0, err: "" });
    expect(onestep("inspect", "--help")).toMatchObject({ code: 0, err: "" });
  });

  test("a reader that stops early is no error", async () => {
    const many = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`variable-${i}`, f32([i])]));
    await flow.formats.write(join(root, "m.safetensors"), many);
    const child = spawn(process.execPath, [main, "inspect", "m.safetensors"], { cwd: root });
    let err = "";
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk.toString();
    });
    child.stdout.once("data", () => child.stdout.destroy());
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect([code, err]).toEqual([0, ""]);
  });
});
