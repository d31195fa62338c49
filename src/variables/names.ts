import { FlowError } from "../core/errors.js";

// A variable's name becomes a directory on every system that a checkpoint may travel to.
const pattern = /^[A-Za-z0-9_+-][A-Za-z0-9_.+-]*$/;
const devices = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?$/i;
const reserved = ["snapshot_done", "onestep.json"];

function problemOf(name: string): string | undefined {
  if (!pattern.test(name)) return "only letters, digits and _ . + - are allowed, and no leading dot";
  if (name.length > 200) return `it has ${name.length} bytes, at most 200 are allowed`;
  if (devices.test(name)) return "Windows keeps that name for a device";
  if (name.endsWith(".")) return "Windows drops a trailing dot";
  return undefined;
}

/** E_NAME unless `name` can be a variable's name, and so a directory of a checkpoint. */
export function checkName(name: string): void {
  const problem = reserved.includes(name.toLowerCase())
    ? "the checkpoint format keeps that name for itself"
    : problemOf(name);
  if (problem !== undefined) throw new FlowError("E_NAME", `variable '${name}': ${problem}; choose another name`);
}

/** E_NAME unless `fileName` can be a variable's file in its directory. */
export function checkFileName(fileName: string): void {
  const problem =
    fileName.toLowerCase() === "meta" ? "the checkpoint format keeps that name for itself" : problemOf(fileName);
  if (problem !== undefined) throw new FlowError("E_NAME", `fileName '${fileName}': ${problem}; choose another name`);
}

/** E_NAME where two of `names` differ only in case: some file systems could not tell them apart. */
export function checkDistinct(names: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const name of names) {
    const other = seen.get(name.toLowerCase());
    if (other !== undefined && other !== name)
      throw new FlowError(
        "E_NAME",
        `variables '${other}' and '${name}' differ only in case, and some file systems cannot tell them apart; rename one`,
      );
    seen.set(name.toLowerCase(), name);
  }
}
