import { FlowError, textOfValue } from "./errors.js";

/**
 * Chooses names: a RegExp that is found in the name, or a string that is the whole name, where `*` stands for any
 * characters (`"dense1-*"`).
 */
export type Pattern = string | RegExp;

/** Whether one of `patterns` fits `name`. */
export function matchesAny(patterns: readonly Pattern[], name: string): boolean {
  return patterns.some((pattern) => expressionOf(pattern).test(name));
}

/** One pattern or several as a list; E_ARGUMENT where one is neither a string nor a RegExp. */
export function patternList(where: string, value: Pattern | readonly Pattern[] | undefined): readonly Pattern[] {
  const list = value === undefined ? [] : Array.isArray(value) ? (value as readonly Pattern[]) : [value as Pattern];
  for (const pattern of list) {
    if ((typeof pattern !== "string" && !(pattern instanceof RegExp)) || pattern === "")
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: a pattern is ${pattern === "" ? "empty" : textOfValue(pattern)}, expected a string such as "dense1-*" or a RegExp`,
      );
  }
  return list;
}

/** The patterns that fit none of `names`, as text. */
export function unusedPatterns(patterns: readonly Pattern[], names: readonly string[]): readonly string[] {
  return patterns.filter((pattern) => !names.some((name) => matchesAny([pattern], name))).map(String);
}

function expressionOf(pattern: Pattern): RegExp {
  // A sticky or global expression would remember where it stopped.
  if (pattern instanceof RegExp) return new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ""));
  const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  return new RegExp(`^${pattern.split("*").map(literal).join(".*")}$`, "s");
}
