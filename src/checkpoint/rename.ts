import { FlowError, nearest, textOfValue } from "../core/errors.js";
import { matchesAny, type Pattern } from "../core/pattern.js";
import { checkName } from "../variables/names.js";
import { shown } from "./contents.js";

/**
 * Maps names in a directory to names in the program. The first rule whose pattern fits counts; a name that none fits stays.
 * A string pattern is the whole name, and each `*` of its new name stands for what the same `*` fitted (`{"bert-*": "encoder-*"}`); a
 * RegExp is replaced where it is found, as by `String.replace`. A function gives the new name, or undefined to keep the old one.
 */
export type Rename =
  | ((name: string) => string | undefined)
  | Readonly<Record<string, string>>
  | readonly (readonly [Pattern, string])[];

/**
 * The name in the program of each name in a directory. E_ARGUMENT where a rule fits no name, or two names become one; E_NAME where a new
 * name can be no variable's.
 */
export function renamed(
  where: string,
  rename: Rename | undefined,
  names: readonly string[],
): ReadonlyMap<string, string> {
  const map = rename === undefined ? (name: string) => name : mapOf(where, rename, names);
  const result = new Map<string, string>();
  const sources = new Map<string, string>();
  for (const name of names) {
    const target = map(name);
    if (target !== name) checkName(target);
    const other = sources.get(target);
    if (other !== undefined)
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: rename makes '${target}' of both ${shown(other)} and ${shown(name)}; each variable has one source`,
      );
    sources.set(target, name);
    result.set(name, target);
  }
  return result;
}

function mapOf(where: string, rename: Rename, names: readonly string[]): (name: string) => string {
  if (typeof rename === "function") {
    return (name) => {
      const target: unknown = rename(name) ?? name;
      if (typeof target === "string" && target !== "") return target;
      const got = target === "" ? "an empty name" : typeof target;
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: rename gave ${got} for ${shown(name)}, expected a name or undefined`,
      );
    };
  }
  const rules = rulesOf(where, rename);
  for (const [pattern] of rules) {
    if (names.some((name) => matchesAny([pattern], name))) continue;
    const near = nearest(String(pattern), names);
    const known =
      near === undefined
        ? `${names.slice(0, 3).map(shown).join(", ")}${names.length > 3 ? ", ..." : ""}`
        : `did you mean ${shown(near)}?`;
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: rename: '${String(pattern)}' fits no name in the directory (${known})`,
    );
  }
  return (name) => {
    const rule = rules.find(([pattern]) => matchesAny([pattern], name));
    return rule === undefined ? name : replaced(rule, name);
  };
}

function rulesOf(where: string, rename: unknown): readonly (readonly [Pattern, string])[] {
  const refuse = (what: string): never => {
    const expected = `expected {"old-*": "new-*"}, [[pattern, "new"], ...] or a function`;
    throw new FlowError("E_ARGUMENT", `${where}: rename ${what}, ${expected}`);
  };
  if (typeof rename !== "object" || rename === null) refuse(`is ${textOfValue(rename)}`);
  const rules: readonly unknown[] = Array.isArray(rename) ? rename : Object.entries(rename as object);
  for (const rule of rules) {
    if (!Array.isArray(rule) || rule.length !== 2) refuse("has a rule that is no pair");
    const [pattern, target] = rule as readonly unknown[];
    if ((typeof pattern !== "string" && !(pattern instanceof RegExp)) || pattern === "")
      refuse("has a pattern that is neither a string nor a RegExp");
    if (typeof target !== "string" || target === "") refuse(`maps '${String(pattern)}' to no name`);
    if (typeof pattern === "string" && stars(target as string) > stars(pattern))
      refuse(`has more * in '${String(target)}' than in '${pattern}'`);
  }
  return rules as readonly (readonly [Pattern, string])[];
}

const stars = (text: string): number => text.split("*").length - 1;

function replaced([pattern, target]: readonly [Pattern, string], name: string): string {
  if (pattern instanceof RegExp) return name.replace(pattern, target);
  const escaped = pattern.split("*").map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  const parts = new RegExp(`^${escaped.join("(.*)")}$`, "s").exec(name)!;
  let at = 0;
  return target.replaceAll("*", () => parts[++at]!);
}
