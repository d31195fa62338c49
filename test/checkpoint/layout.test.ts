import { describe, expect, test } from "vitest";
import { parseTemporaryName, temporaryName, variablePath } from "#src/checkpoint/layout.js";
import { checkDistinct, checkFileName, checkName } from "#src/variables/names.js";

const refused = expect.objectContaining({ name: "FlowError", code: "E_NAME" });

describe("checkName", () => {
  const good = [
    "dense1-weight",
    "System-Train-TrainStep-train_job",
    "a.b+c_D-9",
    "console",
    "com10",
    "CONV.1",
    "meta",
    "x".repeat(200),
  ];
  test.each(good)("accepts %s", (name) => checkName(name));

  const bad: readonly [name: string, why: string][] = [
    ["", "is empty"],
    ["..", "begins with a dot"],
    [".hidden", "begins with a dot"],
    ["a.", "ends with a dot"],
    ["../up", 'has "/"'],
    ["a/b", 'has "/"'],
    ["a\\b", 'has "\\\\"'],
    ["/etc", 'has "/"'],
    ["a b", 'has " "'],
    ["a\n", 'has "\\n"'],
    ["a\0", 'has "\\u0000"'],
    ["größe", 'has "ö"'],
    ["x😀", 'has "😀"'],
    ["C:", 'has ":"'],
    ["x".repeat(201), "has 201 bytes, expected at most 200"],
    ["CON", "device"],
    ["nul.txt", "device"],
    ["Com1", "device"],
    ["lpt9.a.b", "device"],
    ["snapshot_done", "checkpoints use themselves"],
    ["Snapshot_Done", "checkpoints use themselves"],
    ["onestep.json", "checkpoints use themselves"],
    ["ONESTEP.json", "checkpoints use themselves"],
  ];
  test.each(bad)("refuses %j: %s", (name, why) => {
    expect(() => checkName(name)).toThrow(refused);
    expect(() => checkName(name)).toThrow(why);
  });

  test("says what to do", () => {
    expect(() => checkName("a/b")).toThrow(
      `variable name 'a/b' has "/", expected only letters, digits and _ . + -; it becomes part of a path in checkpoints, choose another [E_NAME]`,
    );
  });
});

test("checkFileName takes what checkName takes, but meta", () => {
  checkFileName("out");
  for (const fileName of ["meta", "META", "snapshot_done", "../out", ".out", "aux", ""]) {
    expect(() => checkFileName(fileName)).toThrow(refused);
  }
});

test("checkDistinct refuses names that differ only in case", () => {
  checkDistinct(["a", "b", "a-b"]);
  expect(() => checkDistinct(["dense-W", "x", "dense-w"])).toThrow(refused);
  expect(() => checkDistinct(["dense-W", "x", "dense-w"])).toThrow("'dense-W' and 'dense-w'");
});

test("variablePath keeps the directory as given", () => {
  expect(variablePath("./a/../m/", "w", "out")).toBe("./a/../m//w/out");
});

test("temporary names are told from others, and fit however long the target's name is", () => {
  const name = temporaryName("m.1", "0123abcd", 42, "00112233aabb");
  expect(name).toBe(".m.1.0123abcd-42-00112233aabb.saving");
  expect(parseTemporaryName(name)).toEqual({ stem: "m.1", host: "0123abcd", pid: 42, random: "00112233aabb" });
  for (const other of ["m.1", ".m.saving", ".m.1.saving", `${name}x`, name.slice(1)])
    expect(parseTemporaryName(other)).toBeUndefined();
  expect(Buffer.byteLength(temporaryName("😀".repeat(63), "0123abcd", 4194304, "00112233aabb"))).toBeLessThanOrEqual(
    255,
  );
});
