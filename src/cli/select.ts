import { FlowError, nearest } from "../core/errors.js";
import { matchesAny } from "../core/pattern.js";

/** Those of `variables` that a pattern fits, all without patterns; E_ARGUMENT, with the nearest name, for a pattern that fits none. */
export function select<V extends { readonly name: string }>(
  where: string,
  variables: readonly V[],
  patterns: readonly string[],
): readonly V[] {
  if (patterns.length === 0) return variables;
  const names = variables.map(({ name }) => name);
  for (const pattern of patterns) {
    if (pattern !== "" && names.some((name) => matchesAny([pattern], name))) continue;
    const near = nearest(pattern, names);
    const hint =
      near === undefined
        ? `known are ${names.slice(0, 3).join(", ")}${names.length > 3 ? ", ..." : ""}`
        : `did you mean '${near}'?`;
    throw new FlowError("E_ARGUMENT", `${where}: there is no variable '${pattern}'; ${hint}`);
  }
  return variables.filter(({ name }) => matchesAny(patterns, name));
}
