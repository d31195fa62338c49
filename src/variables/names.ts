import { FlowError, textOfValue } from "../core/errors.js";

// A variable's name becomes a folder on every system that a checkpoint may travel to.

// What checkpoints keep for themselves: beside the variables' folders, and in each of them.
const topNames = ["snapshot_done", "onestep.json"];
const folderNames = ["meta"];
const maximumBytes = 200;
const device = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

function checkSegment(where: string, segment: string, taken: readonly string[]): void {
  const refuse = (why: string): never => {
    throw new FlowError(
      "E_NAME",
      `${where} '${segment}' ${why}; it becomes part of a path in checkpoints, choose another`,
    );
  };
  if (typeof segment !== "string") refuse(`is ${textOfValue(segment)}, expected a string`);
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
  checkSegment("variable name", name, topNames);
}

/** Throws E_NAME unless `fileName` can name a variable's file in its folder; `meta` is taken. */
export function checkFileName(fileName: string): void {
  checkSegment("variable's file name", fileName, [...topNames, ...folderNames]);
}

/** Throws E_NAME where two names are one on file systems that ignore case. */
export function checkDistinct(names: Iterable<string>): void {
  const folders = new Folders();
  for (const name of names) folders.add(name);
}

/** Names whose folders differ on every file system. */
export class Folders {
  readonly #names = new Map<string, string>();

  /** Adds a name; E_NAME where another one has its folder where case is ignored. */
  add(name: string): void {
    const folder = name.toLowerCase();
    const other = this.#names.get(folder);
    if (other !== undefined && other !== name) {
      const why = `variable names '${other}' and '${name}' are one folder on file systems that ignore case`;
      throw new FlowError("E_NAME", `${why}; rename one of them`);
    }
    this.#names.set(folder, name);
  }
}
