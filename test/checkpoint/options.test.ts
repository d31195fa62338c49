import { cpSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { planLoad, type ReadOptions } from "#src/checkpoint/read.js";
import { type Rename, renamed } from "#src/checkpoint/rename.js";
import { type StoredVariable, saveCheckpoint } from "#src/checkpoint/write.js";
import type { Tensor } from "#src/core/tensor.js";

let root: string;
let dir: string;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "onestep-options-"));
  dir = join(root, "m");
  await saveCheckpoint(dir, variables(...saved), async (name) => value(saved.indexOf(name)), { seed: 1, calls: {} });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const saved = ["dense1-bias", "dense1-weight", "dense2-bias", "dense2-weight"];
const variables = (...names: readonly string[]): StoredVariable[] =>
  names.map((name) => ({ name, dtype: "float32", shape: [2], fileName: "out" }));
const value = (i: number): Tensor => ({ dtype: "float32", shape: [2], data: new Float32Array([i, -i]) });
const load = async (names: readonly string[], options: ReadOptions = {}, target?: null) => {
  const plan = await planLoad(dir, variables(...names), options, target);
  return {
    loaded: Object.fromEntries(plan.loaded.map((name) => [name, plan.values.get(name)?.data[0]])),
    missing: plan.missing.map(({ name }) => name),
    excluded: plan.excluded.map(({ name }) => name),
    unused: plan.unused,
  };
};
const failed = async (names: readonly string[], options: ReadOptions) =>
  load(names, options).then(
    () => expect.fail("load should have thrown"),
    (error: Error & { code: string }) => `${error.code} ${error.message.replaceAll(dir, "DIR")}`,
  );

describe("the report", () => {
  test("names what was loaded, what is missing and what is unused", async () => {
    expect(await load(["dense3-weight", "dense3-bias", "dense1-weight"])).toEqual({
      loaded: { "dense1-weight": 1 },
      missing: ["dense3-bias", "dense3-weight"],
      excluded: [],
      unused: ["dense1-bias", "dense2-bias", "dense2-weight"],
    });
  });

  test("folders that hold no variable are not unused", async () => {
    mkdirSync(join(dir, "empty"));
    mkdirSync(join(dir, "notes"));
    writeFileSync(join(dir, "notes/todo.txt"), "more epochs");
    expect((await load(saved)).unused).toEqual([]);
    cpSync(join(dir, "dense1-bias"), join(dir, "extra"), { recursive: true });
    expect((await load(saved)).unused).toEqual(["extra"]);
  });
});

describe("strict", () => {
  test("passes where both sides fit", async () => {
    expect(Object.keys((await load(saved, { strict: true })).loaded)).toEqual(saved);
  });

  test("names what is missing and what is unused", async () => {
    expect(await failed(["dense1-bias", "dense3-bias"], { strict: true })).toBe(
      "E_CKPT_STRICT checkpoint.load('DIR'): 'DIR' lacks 'dense3-bias'; the program lacks 'dense1-weight', 'dense2-bias', 'dense2-weight'; rename or exclude what differs on purpose, or load without strict [E_CKPT_STRICT]",
    );
  });

  test("does not mind what is left out on purpose, on either side", async () => {
    const names = ["dense1-bias", "dense1-weight", "dense3-bias"];
    const plan = await load(names, { strict: true, exclude: ["dense3-*", "dense2-*"] });
    expect(plan).toMatchObject({ missing: [], excluded: ["dense3-bias"], unused: ["dense2-bias", "dense2-weight"] });
    expect(await load(names, { strict: true, include: "dense1-*" })).toMatchObject({ excluded: ["dense3-bias"] });
  });
});

describe("include and exclude", () => {
  test("choose by the program's names", async () => {
    expect(await load(saved, { include: "dense1-*", exclude: /bias$/ })).toEqual({
      loaded: { "dense1-weight": 1 },
      missing: [],
      excluded: ["dense1-bias", "dense2-bias", "dense2-weight"],
      unused: ["dense1-bias", "dense2-bias", "dense2-weight"],
    });
  });

  test("a damaged file that is left out does no harm", async () => {
    truncateSync(join(dir, "dense2-weight/out"), 3);
    expect(await failed(saved, {})).toMatch(/^E_CKPT_SIZE/);
    expect(Object.keys((await load(saved, { exclude: "dense2-weight" })).loaded)).toEqual(saved.slice(0, 3));
  });

  test.each([
    [
      { include: "dens1-*" },
      "include: 'dens1-*' fits no variable ('dense1-bias', 'dense1-weight', 'dense2-bias', ...)",
    ],
    [{ exclude: ["dense1-*", /^x/] }, "exclude: '/^x/' fits no variable"],
    [{ include: "" }, "a pattern is empty"],
    [{ exclude: 7 as unknown as string }, "a pattern is the number 7"],
    [{ include: [] }, "include and exclude leave no variable to load"],
    [{ exclude: "*" }, "include and exclude leave no variable to load"],
  ])("%j is an error", async (options, message) => {
    expect(await failed(saved, options)).toContain(message);
  });
});

describe("rename", () => {
  const forms: readonly (readonly [string, Rename])[] = [
    ["globs", { "dense1-*": "encoder-*", "dense2-*": "head-*" }],
    ["pairs", [[/^dense1/, "encoder"] as const, ["dense2-*", "head-*"] as const]],
    ["groups", [[/^dense(\d)-(.*)$/, "L$1.$2"] as const, [/^L1\.(.*)$/, "never-$1"] as const]],
    ["a function", (name) => (name.startsWith("dense1") ? name.replace("dense1", "encoder") : undefined)],
  ];
  test("by globs, pairs and a function", async () => {
    const encoder = ["encoder-bias", "encoder-weight"];
    expect((await load([...encoder, "head-weight"], { rename: forms[0]![1] })).loaded).toEqual({
      "encoder-bias": 0,
      "encoder-weight": 1,
      "head-weight": 3,
    });
    expect((await load([...encoder, "head-bias"], { rename: forms[1]![1], strict: false })).loaded).toEqual({
      "encoder-bias": 0,
      "encoder-weight": 1,
      "head-bias": 2,
    });
    // The first rule that fits counts, on the name in the directory: the second one fits none, which is an error.
    expect(await failed(encoder, { rename: forms[2]![1] })).toContain(
      "rename: '/^L1\\.(.*)$/' fits no name in the directory",
    );
    expect(await load([...encoder, "dense2-bias"], { rename: forms[3]![1] })).toEqual({
      loaded: { "encoder-bias": 0, "encoder-weight": 1, "dense2-bias": 2 },
      missing: [],
      excluded: [],
      unused: ["dense2-weight"],
    });
  });

  test("a name moved away is missing under its old one", async () => {
    expect(await load(["dense1-bias", "b"], { rename: { "dense1-bias": "b" } })).toMatchObject({
      loaded: { b: 0 },
      missing: ["dense1-bias"],
    });
    // Two names can change places.
    const swapped = { "dense1-bias": "dense1-weight", "dense1-weight": "dense1-bias" };
    expect((await load(saved, { rename: swapped, strict: true })).loaded).toMatchObject({
      "dense1-bias": 1,
      "dense1-weight": 0,
    });
  });

  test.each([
    [
      "collisions",
      { "dense1-bias": "b", "dense2-bias": "b" },
      "rename makes 'b' of both 'dense1-bias' and 'dense2-bias'",
    ],
    ["a collision with a name that stays", { "dense1-bias": "dense2-bias" }, "of both 'dense1-bias' and 'dense2-bias'"],
    ["a rule that fits nothing", { "dens1-*": "x-*" }, "'dens1-*' fits no name in the directory ('dense1-bias', "],
    ["too many stars", { "dense1-*": "*-*" }, "has more * in '*-*' than in 'dense1-*'"],
    ["a new name that cannot be one", { "dense1-*": "../*" }, "variable name '../bias' has \"/\""],
    ["a NUL", () => "a\0b", "variable name 'a\0b' has \"\\u0000\""],
    ["a function that gives a number", (() => 7) as unknown as Rename, "rename gave number for 'dense1-bias'"],
    ["a function that gives nothing", () => "", "rename gave an empty name for"],
    ["text", "dense" as unknown as Rename, "rename is the string 'dense', expected"],
    ["a rule that is no pair", [["a"]] as unknown as Rename, "has a rule that is no pair"],
    ["a pattern that is a number", [[1, "a"]] as unknown as Rename, "neither a string nor a RegExp"],
    ["a target that is a number", { "dense1-*": 3 } as unknown as Rename, "maps 'dense1-*' to no name"],
  ] as readonly (readonly [string, Rename, string])[])("%s", async (_, rename, message) => {
    expect(await failed(saved, { rename })).toContain(message);
  });

  test("globs are whole names, and their stars keep their order", () => {
    const name = fc
      .array(fc.constantFrom(..."abc-."), { minLength: 1, maxLength: 8 })
      .map((list) => `a${list.join("")}z`);
    fc.assert(
      fc.property(name, name, (first, second) => {
        const source = `x${first}--y${second}`;
        expect(renamed("t", { "x*--y*": "p*.q*" }, [source]).get(source)).toMatch(/^pa.*z\.qa.*z$/);
        expect(renamed("t", [["*", "k-*"]], [source]).get(source)).toBe(`k-${source}`);
      }),
      { seed: 3 },
    );
  });
});

describe("the rest", () => {
  test("verify: false leaves out the hash, and nothing else", async () => {
    writeFileSync(join(dir, "dense1-bias/out"), new Float32Array([9, 9]));
    expect(await failed(saved, {})).toMatch(/^E_CKPT_HASH/);
    expect((await load(saved, { verify: false })).loaded["dense1-bias"]).toBe(9);
    const transposed = [{ ...variables("dense1-bias")[0]!, shape: [1, 2] }];
    await expect(planLoad(dir, transposed, { verify: false })).rejects.toMatchObject({ code: "E_CKPT_META" });
    const integers = [{ ...variables("dense1-bias")[0]!, dtype: "int32" as const }];
    await expect(planLoad(dir, integers, { verify: false })).rejects.toMatchObject({ code: "E_CKPT_META" });
    truncateSync(join(dir, "dense1-bias/out"), 4);
    expect(await failed(saved, { verify: false })).toMatch(/^E_CKPT_SIZE/);
  });

  test("allowEmpty", async () => {
    expect(await failed(["other"], {})).toContain("or pass { allowEmpty: true } to initialise all");
    expect(await load(["other"], { allowEmpty: true })).toMatchObject({ loaded: {}, missing: ["other"] });
    rmSync(dir, { recursive: true });
    expect(await failed(["other"], { allowEmpty: true })).toMatch(/^E_CKPT_DIR .*does not exist/);
  });

  test("a check only takes no memory for values, and still finds damage", async () => {
    const asked: string[] = [];
    const plan = await planLoad(dir, variables(...saved), {}, null);
    expect([plan.values.size, plan.loaded]).toEqual([0, saved]);
    writeFileSync(join(dir, "dense2-weight/out"), new Float32Array([9, 9]));
    await expect(planLoad(dir, variables(...saved), {}, null)).rejects.toMatchObject({ code: "E_CKPT_HASH" });
    // Nor is memory taken before every name, type and size fits.
    truncateSync(join(dir, "dense2-weight/out"), 4);
    const target = ({ name }: StoredVariable): Tensor => {
      asked.push(name);
      return value(0);
    };
    await expect(planLoad(dir, variables(...saved), {}, target)).rejects.toMatchObject({ code: "E_CKPT_SIZE" });
    expect(asked).toEqual([]);
  });
});
