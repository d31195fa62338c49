import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { missingLine, planLoad } from "#src/checkpoint/read.js";
import { type StoredVariable, saveCheckpoint } from "#src/checkpoint/write.js";
import { byteSize, dtypes } from "#src/core/dtype.js";
import { sizeOf } from "#src/core/shape.js";
import { bytesOf, fromBytes, type Tensor } from "#src/core/tensor.js";
import { checkName } from "#src/variables/names.js";

let root: string;
let dir: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "onestep-read-"));
  dir = join(root, "m");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const weight: StoredVariable = { name: "dense1-weight", dtype: "float32", shape: [784], fileName: "out" };
const bias: StoredVariable = { name: "dense1-bias", dtype: "float32", shape: [2, 3], fileName: "out" };
const values: Record<string, Tensor> = {
  [weight.name]: { dtype: "float32", shape: [784], data: Float32Array.from({ length: 784 }, (_, i) => i / 7) },
  [bias.name]: { dtype: "float32", shape: [2, 3], data: new Float32Array([1, 2, 3, 4, 5, 6]) },
};
const state = { seed: 9007199254740991, calls: { train_job: 3, "odd job/.. name": 0 } };
const save = () => saveCheckpoint(dir, [weight, bias], async (name) => values[name]!, state);
const refusal = async (variables: readonly StoredVariable[] = [weight, bias], path = dir): Promise<Error> =>
  planLoad(path, variables).then(
    () => expect.fail("planLoad should have thrown"),
    (error: Error) => error,
  );
const coded = (code: string) => expect.objectContaining({ name: "FlowError", code });

test("what was saved comes back, with the state and no warnings", async () => {
  await save();
  const plan = await planLoad(dir, [weight, bias]);
  expect(plan.values).toEqual(new Map(Object.entries(values)));
  expect(plan).toMatchObject({ missing: [], state, warnings: [] });
});

test("missing variables are given by name, with the documented line", async () => {
  await save();
  mkdirSync(join(dir, "something-else"));
  writeFileSync(join(dir, "notes.txt"), "mine");
  const dense3 = ["dense3-weight", "dense3-bias"].map((name) => ({ ...weight, name }));
  const plan = await planLoad(dir, [...dense3, weight]);
  expect(plan.missing.map((variable) => missingLine("./m/", variable))).toEqual([
    "WARNING! CANNOT find variable path in : ./m//dense3-bias/out. It will be initialized. ",
    "WARNING! CANNOT find variable path in : ./m//dense3-weight/out. It will be initialized. ",
  ]);
  expect([...plan.values.keys()]).toEqual(["dense1-weight"]);
  expect(plan.warnings).toEqual([]);
});

test("a file that went missing beside its meta is initialised too, with a warning", async () => {
  await save();
  rmSync(join(dir, "dense1-bias/out"));
  const plan = await planLoad(dir, [weight, bias]);
  expect(plan.missing).toEqual([bias]);
  expect(plan.warnings).toEqual([
    `checkpoint.load('${dir}'): '${dir}/dense1-bias/out' is gone, though the 'meta' beside it says that it was saved`,
  ]);
});

describe("directories", () => {
  test("a missing one, a file, an empty and a foreign one are refused", async () => {
    expect(await refusal()).toEqual(coded("E_CKPT_DIR"));
    expect((await refusal()).message).toContain("does not exist; give the directory that a save wrote, or use init()");
    expect(await refusal([weight], "")).toEqual(coded("E_CKPT_DIR"));
    writeFileSync(join(root, "file"), "x");
    expect((await refusal([weight], join(root, "file"))).message).toContain("is not a directory");
    expect(await refusal([weight], join(root, "file/x"))).toEqual(coded("E_CKPT_DIR"));
    mkdirSync(dir);
    expect(await refusal()).toEqual(coded("E_CKPT_DIR"));
    mkdirSync(join(dir, "other"));
    writeFileSync(join(dir, "other/out"), "x");
    expect((await refusal()).message).toContain("holds none of the 2 variables of this program ('dense1-bias', ...)");
  });

  test("a half-written one of ours is refused even when it is readable", async () => {
    await save();
    const half = join(root, ".m.0123abcd-1-00112233aabb.saving");
    renameSync(dir, half);
    expect(await refusal([weight], half)).toEqual(coded("E_CKPT_DIR"));
    expect((await refusal([weight], `${half}/`)).message).toContain("what an interrupted save left behind");
  });

  test.each([["dropped", true] as const, ["a file", false] as const])("the mark may be %s", async (_, dropped) => {
    await save();
    rmSync(join(dir, "snapshot_done"), { recursive: true });
    if (!dropped) writeFileSync(join(dir, "snapshot_done"), "");
    expect((await planLoad(dir, [weight, bias])).warnings).toEqual([]);
  });

  test("without the mark and a meta it warns", async () => {
    await save();
    rmSync(join(dir, "snapshot_done"), { recursive: true });
    rmSync(join(dir, "dense1-bias/meta"));
    const plan = await planLoad(dir, [weight, bias]);
    expect(plan.values.size).toBe(2);
    expect(plan.warnings).toHaveLength(1);
    expect(plan.warnings[0]).toContain(
      "no 'snapshot_done', and no 'meta' vouches for 'dense1-bias': its save never finished",
    );
  });

  test("one that OneFlow v0.2 wrote loads", async () => {
    mkdirSync(join(dir, "dense1-bias"), { recursive: true });
    mkdirSync(join(dir, "System-Train-TrainStep-train_job"));
    writeFileSync(join(dir, "dense1-bias/out"), bytesOf(values[bias.name]!));
    writeFileSync(join(dir, "System-Train-TrainStep-train_job/out"), Buffer.from("5802000000000000", "hex"));
    writeFileSync(join(dir, "snapshot_done"), "");
    const step: StoredVariable = {
      name: "System-Train-TrainStep-train_job",
      dtype: "int64",
      shape: [1],
      fileName: "out",
    };
    const plan = await planLoad(dir, [bias, step]);
    expect(plan.values.get(step.name)!.data).toEqual(new BigInt64Array([600n]));
    expect(plan.values.get(bias.name)).toEqual(values[bias.name]);
    expect(plan).toMatchObject({ missing: [], state: undefined, warnings: [] });
  });

  test("a link to a checkpoint is followed, links inside one are refused", async () => {
    await save();
    symlinkSync("m", join(root, "latest"));
    expect((await planLoad(join(root, "latest"), [bias])).values.get(bias.name)).toEqual(values[bias.name]);
    renameSync(join(dir, "dense1-bias/out"), join(root, "elsewhere"));
    symlinkSync(join(root, "elsewhere"), join(dir, "dense1-bias/out"));
    expect(await refusal([bias])).toEqual(coded("E_CKPT_UNSAFE"));
    rmSync(join(root, "elsewhere"));
    expect(await refusal([bias])).toEqual(coded("E_CKPT_UNSAFE"));
  });
});

describe("damage", () => {
  beforeEach(save);

  test("a truncated file", async () => {
    truncateSync(join(dir, "dense1-weight/out"), 1568);
    expect(await refusal()).toEqual(coded("E_CKPT_SIZE"));
    expect((await refusal()).message).toBe(
      `checkpoint.load('${dir}'): variable 'dense1-weight' needs 3136 bytes (float32[784]), '${dir}/dense1-weight/out' has 1568 [E_CKPT_SIZE]`,
    );
  });

  test("a file that is too long", async () => {
    writeFileSync(join(dir, "dense1-bias/out"), new Uint8Array(25));
    expect((await refusal()).message).toContain("needs 24 bytes (float32[2,3]), ");
    expect((await refusal()).message).toContain("has 25 [E_CKPT_SIZE]");
  });

  test("an edited byte names both hashes and the way out", async () => {
    const path = join(dir, "dense1-bias/out");
    const bytes = readFileSync(path);
    bytes[3] = 0xc0;
    writeFileSync(path, bytes);
    expect(await refusal()).toEqual(coded("E_CKPT_HASH"));
    expect((await refusal()).message).toMatch(
      /out' has sha256 [0-9a-f]{64}, '.*meta' says [0-9a-f]{64}: .*; changed on purpose\? onestep verify --accept .*\/m \[/,
    );
    const plan = await planLoad(dir, [weight, bias], { verify: false });
    expect(plan.warnings).toEqual([]);
    expect(plan.values.get(bias.name)!.data[0]).toBe(-4);
  });

  test("another shape of equal size", async () => {
    const failure = await refusal([{ ...bias, shape: [3, 2] }]);
    expect(failure).toEqual(coded("E_CKPT_META"));
    expect(failure.message).toContain(
      `'${dir}/dense1-bias/meta' says float32[2,3], variable 'dense1-bias' of this program is float32[3,2]`,
    );
  });

  test("another dtype of equal size", async () => {
    const failure = await refusal([{ ...bias, dtype: "int32" }]);
    expect(failure).toEqual(coded("E_CKPT_META"));
    expect(failure.message).toContain("says float32[2,3], variable 'dense1-bias' of this program is int32[2,3]");
  });

  const malformed = [
    "",
    "{",
    "null",
    "[]",
    "{}",
    '{"dtype":"float32","shape":[2,3]}',
    '{"dtype":"f","shape":[2,3],"sha256":"00"}',
  ];
  test.each(malformed)("meta %j", async (text) => {
    writeFileSync(join(dir, "dense1-bias/meta"), text);
    expect(await refusal()).toEqual(coded("E_CKPT_META"));
    expect((await refusal()).message).toContain("is damaged, expected JSON {dtype, shape, sha256}");
  });

  const states = [
    "",
    "null",
    "{}",
    '{"format":0,"seed":1,"calls":{}}',
    '{"format":1,"seed":"1","calls":{}}',
    '{"format":1,"seed":1,"calls":{"a":-1}}',
  ];
  test.each(states)("onestep.json %j", async (text) => {
    writeFileSync(join(dir, "onestep.json"), text);
    expect(await refusal()).toEqual(coded("E_CKPT_META"));
    expect((await refusal()).message).toContain("is damaged, expected JSON {format: 1, seed, calls}");
  });

  test("onestep.json of a later format, and with more in it", async () => {
    writeFileSync(join(dir, "onestep.json"), '{"format":2}');
    expect((await refusal()).message).toContain("has format 2, expected 1; a newer onestep wrote it");
    writeFileSync(join(dir, "onestep.json"), '{"format":1,"seed":5,"calls":{},"extras":{}}');
    expect((await planLoad(dir, [bias])).state).toEqual({ seed: 5, calls: {}, extras: {} });
    writeFileSync(join(dir, "onestep.json"), '{"format":1,"seed":5,"calls":{},"later":[1]}');
    expect((await planLoad(dir, [bias])).state).toEqual({ seed: 5, calls: {} });
  });

  test("a folder where the file should be", async () => {
    rmSync(join(dir, "dense1-bias/out"));
    mkdirSync(join(dir, "dense1-bias/out"));
    expect(await refusal()).toEqual(coded("E_CKPT_IO"));
    expect((await refusal()).message).toContain("is not a file");
  });

  test("a file without read permission", async (context) => {
    if (process.platform === "win32") context.skip("Windows has no such permission");
    const isRoot = process.getuid!() === 0;
    chmodSync(root, 0o755);
    chmodSync(join(dir, "dense1-bias/out"), 0o000);
    if (isRoot) process.seteuid!(65534);
    try {
      const failure = await refusal();
      expect(failure).toEqual(coded("E_CKPT_IO"));
      expect(failure.message).toContain(`cannot read '${dir}/dense1-bias/out': EACCES`);
      expect(failure.message).toContain("no variable was changed");
    } finally {
      if (isRoot) process.seteuid!(0);
    }
  });

  test("of several, the same error each time", async () => {
    truncateSync(join(dir, "dense1-weight/out"), 0);
    truncateSync(join(dir, "dense1-bias/out"), 0);
    for (let i = 0; i < 5; i++) expect((await refusal()).message).toContain("'dense1-bias' needs 24 bytes");
  });

  test.each(["../m/dense1-bias", "a/../dense1-bias", ".", "C:x"])("the name %s never becomes a path", async (name) => {
    expect(await refusal([{ ...bias, name }])).toEqual(coded("E_NAME"));
    expect(await refusal([{ ...bias, fileName: `../${name}` }])).toEqual(coded("E_NAME"));
  });

  test("names that differ only in case", async () => {
    expect(await refusal([bias, { ...bias, name: "Dense1-Bias" }])).toEqual(coded("E_NAME"));
  });
});

const isName = (text: string): boolean => {
  try {
    checkName(text);
    return true;
  } catch {
    return false;
  }
};

test("a copied checkpoint loads", async () => {
  await save();
  cpSync(dir, join(root, "copy"), { recursive: true });
  expect((await planLoad(join(root, "copy"), [weight, bias])).warnings).toEqual([]);
});

test("random tensors of every name, dtype and shape come back bit for bit", { timeout: 120_000 }, async () => {
  const name = fc
    .array(fc.constantFrom(..."ABCXYZabcxyz0189_.+-"), { minLength: 1, maxLength: 200 })
    .map((characters) => characters.join(""))
    .filter((text) => isName(text));
  const variable = fc
    .record({
      name,
      dtype: fc.constantFrom(...dtypes),
      shape: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }),
      fileName: fc.oneof(
        fc.constant("out"),
        name.filter((text) => text.toLowerCase() !== "meta"),
      ),
    })
    .chain((type) =>
      fc
        .uint8Array({
          minLength: sizeOf(type.shape) * byteSize(type.dtype),
          maxLength: sizeOf(type.shape) * byteSize(type.dtype),
        })
        .map((bytes) => ({ ...type, bytes })),
    );
  const selector = ({ name }: { name: string }) => name.toLowerCase();
  const comparator = (a: string, b: string) => a === b;
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(variable, { minLength: 1, maxLength: 12, selector, comparator }), async (list) => {
      const path = join(root, `r${round++}`);
      const variables = list.map(
        ({ name, dtype, shape, fileName }): StoredVariable => ({ name, dtype, shape, fileName }),
      );
      const tensors = new Map(list.map(({ name, dtype, shape, bytes }) => [name, fromBytes(dtype, shape, bytes)]));
      await saveCheckpoint(path, variables, async (name) => tensors.get(name)!, { seed: round, calls: {} });
      const plan = await planLoad(path, variables, { strict: true });
      expect(plan).toMatchObject({ missing: [], unused: [], loaded: [...tensors.keys()].sort() });
      for (const [name, tensor] of tensors) {
        const loaded = plan.values.get(name)!;
        expect([loaded.dtype, loaded.shape]).toEqual([tensor.dtype, tensor.shape]);
        expect(Buffer.compare(bytesOf(loaded), bytesOf(tensor))).toBe(0);
      }
      rmSync(path, { recursive: true });
    }),
    { numRuns: 60 },
  );
});
