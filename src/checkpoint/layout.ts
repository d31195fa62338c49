import { FlowError } from "../core/errors.js";

/** Folder in a checkpoint that says its save finished (OneFlow v0.2: an empty file). */
export const DONE = "snapshot_done";

/** File beside a variable's elements: JSON `{dtype, shape, sha256}`. */
export const META = "meta";

/** File at the top of a checkpoint: JSON `{format, seed, calls}`. */
export const STATE = "onestep.json";

const reserved = [DONE, STATE, META];
const maximumBytes = 200;
const device = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

function checkSegment(where: string, segment: string, taken: readonly string[]): void {
  const refuse = (why: string): never => {
    throw new FlowError(
      "E_NAME",
      `${where} '${segment}' ${why}; it becomes part of a path in checkpoints, choose another`,
    );
  };
  const bad = /[^A-Za-z0-9_.+-]/u.exec(segment)?.[0];
  if (segment === "") refuse("is empty, expected letters, digits and _ . + -");
  if (bad !== undefined) refuse(`has ${JSON.stringify(bad)}, expected only letters, digits and _ . + -`);
  if (segment.startsWith(".")) refuse("begins with a dot");
  if (segment.endsWith(".")) refuse("ends with a dot, which Windows drops");
  if (segment.length > maximumBytes) refuse(`has ${segment.length} bytes, expected at most ${maximumBytes}`);
  if (device.test(segment)) refuse("is the name of a device on Windows");
  if (taken.includes(segment.toLowerCase())) refuse("is a name that checkpoints use themselves");
}

/** Throws E_NAME unless `name` can be a variable's name and, on every system, its folder's. */
export function checkName(name: string): void {
  checkSegment("variable name", name, [DONE, STATE]);
}

/** Throws E_NAME unless `fileName` can name a variable's file in its folder; `meta` is taken. */
export function checkFileName(fileName: string): void {
  checkSegment("variable's file name", fileName, reserved);
}

/** Throws E_NAME where two names are one on file systems that ignore case. */
export function checkDistinct(names: Iterable<string>): void {
  const seen = new Map<string, string>();
  for (const name of names) {
    const other = seen.get(name.toLowerCase());
    if (other !== undefined) {
      const why = `variable names '${other}' and '${name}' are one folder on file systems that ignore case`;
      throw new FlowError("E_NAME", `${why}; rename one of them`);
    }
    seen.set(name.toLowerCase(), name);
  }
}

/** Every check above for a set of variables, before any of their names becomes a path. */
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

const temporary = /^\.(?<stem>.*)\.(?<host>[0-9a-f]{8})-(?<pid>\d+)-[0-9a-f]{12}\.saving$/su;

/** Name of the directory a save to `basename` writes into; long names are cut so that it fits every file system. */
export function temporaryName(basename: string, host: string, pid: number, random: string): string {
  return `.${stemOf(basename)}.${host}-${pid}-${random}.saving`;
}

/** Who made the temporary directory `name`, for which target; undefined where it is no name of ours. */
export function parseTemporaryName(
  name: string,
): { readonly stem: string; readonly host: string; readonly pid: number } | undefined {
  const groups = temporary.exec(name)?.groups;
  return groups === undefined ? undefined : { stem: groups.stem!, host: groups.host!, pid: Number(groups.pid) };
}

/** The part of a target's name that its temporary directories carry. */
export function stemOf(basename: string): string {
  return Array.from(basename).slice(0, 40).join("");
}
