import { expect, test } from "vitest";
import { matchesAny, patternList, unusedPatterns } from "#src/core/pattern.js";

test("a string is the whole name, a star any characters; a RegExp is found anywhere", () => {
  expect(matchesAny(["dense1-*"], "dense1-weight")).toBe(true);
  expect(matchesAny(["dense1"], "dense1-weight")).toBe(false);
  expect(matchesAny(["*.bias"], "a-bias")).toBe(false);
  expect(matchesAny(["a+b*"], "a+b-c")).toBe(true);
  const sticky = /bn/g;
  expect([matchesAny([sticky], "res-bn-gamma"), matchesAny([sticky], "res-bn-gamma")]).toEqual([true, true]);
  expect(matchesAny([/^bn/], "res-bn-gamma")).toBe(false);
});

test("lists, wrong patterns, patterns that fit nothing", () => {
  expect(patternList("x", undefined)).toEqual([]);
  expect(patternList("x", "a")).toEqual(["a"]);
  expect(() => patternList("minimize: freeze", 3 as never)).toThrow("minimize: freeze: a pattern is the number 3");
  expect(() => patternList("x", [""])).toThrow("a pattern is empty");
  expect(unusedPatterns(["a*", /z/], ["ab", "b"])).toEqual(["/z/"]);
});
