import { checkDistinct, checkFileName, checkName } from "../variables/names.js";

/** Folder in a checkpoint that says its save finished (OneFlow v0.2: an empty file). */
export const DONE = "snapshot_done";

/** File beside a variable's elements: JSON `{dtype, shape, sha256}`. */
export const META = "meta";

/** File at the top of a checkpoint: JSON `{format, seed, calls}`. */
export const STATE = "onestep.json";

/** Every check of names for a set of variables, before any of their names becomes a path. */
export function checkStored(variables: readonly { readonly name: string; readonly fileName: string }[]): void {
  for (const { name, fileName } of variables) {
    checkName(name);
    checkFileName(fileName);
  }
  checkDistinct(variables.map(({ name }) => name));
}

/** `<dir>/<name>/<fileName>`, with `dir` exactly as given: the documented warning prints it so. */
export function variablePath(dir: string, name: string, fileName: string): string {
  return `${dir}/${name}/${fileName}`;
}

const temporary = /^\.(?<stem>.*)\.(?<host>[0-9a-f]{8})-(?<pid>\d+)-(?<random>[0-9a-f]{12})\.saving$/su;

/** Name of the directory a save to `basename` writes into; long names are cut so that it fits every file system. */
export function temporaryName(basename: string, host: string, pid: number, random: string): string {
  return `.${stemOf(basename)}.${host}-${pid}-${random}.saving`;
}

/** Who made the temporary directory `name`, for which target; undefined where it is no name of ours. */
export function parseTemporaryName(
  name: string,
): { readonly stem: string; readonly host: string; readonly pid: number; readonly random: string } | undefined {
  const groups = temporary.exec(name)?.groups;
  if (groups === undefined) return undefined;
  return { stem: groups.stem!, host: groups.host!, pid: Number(groups.pid), random: groups.random! };
}

/** The part of a target's name that its temporary directories carry. */
export function stemOf(basename: string): string {
  return Array.from(basename).slice(0, 40).join("");
}
