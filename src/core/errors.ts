/** Codes of every error a user can meet; `docs/errors.md` has a heading per code. */
export type ErrorCode =
  | "E_ARGUMENT"
  | "E_ASYNC_JOB"
  | "E_BUSY"
  | "E_CKPT_DIR"
  | "E_CKPT_EXISTS"
  | "E_CKPT_HASH"
  | "E_CKPT_IO"
  | "E_CKPT_META"
  | "E_CKPT_SIZE"
  | "E_CKPT_STRICT"
  | "E_CKPT_UNSAFE"
  | "E_CLOSED"
  | "E_DATA"
  | "E_DEVICE"
  | "E_DTYPE"
  | "E_DUPLICATE"
  | "E_DUPLICATE_PACKAGE"
  | "E_ENGINE"
  | "E_FORMAT"
  | "E_GRADIENT"
  | "E_HOST"
  | "E_INDEX"
  | "E_LABEL"
  | "E_NAME"
  | "E_NUMERICS"
  | "E_OPTIMIZER"
  | "E_OPTION"
  | "E_OUTSIDE_JOB"
  | "E_RETURNS"
  | "E_SHAPE"
  | "E_UNINITIALIZED"
  | "E_UNSUPPORTED"
  | "E_UPDATE"
  | "E_VARIABLE";

/**
 * An error for the person at the keyboard: where, what was got, what was expected, what to do; `code` is stable. Its stack
 * has the user's lines only.
 * @example
 * ```ts
 * try {
 *   flow.config.seed(-1);
 * } catch (error) {
 *   if (!(error instanceof flow.FlowError)) throw error;
 *   error.code; // -> "E_ARGUMENT"
 * }
 * ```
 */
export class FlowError extends Error {
  /** Always "FlowError". */
  override readonly name = "FlowError";
  constructor(
    /** The code, which ends the message in brackets too. */
    readonly code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(`${message} [${code}]`, options.cause === undefined ? {} : { cause: options.cause });
    // Between a job's function and its call lie more of our frames than are kept by default.
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 50;
    Error.captureStackTrace(this, FlowError);
    Error.stackTraceLimit = limit;
    const stack = this.stack ?? "";
    const frames = userFrames(stack);
    // Away from the user's lines, as behind a queue, ours say more than none.
    if (frames.length > 0) this.stack = [headlineOf(stack), ...frames].join("\n");
  }
}

/** An error only a defect in onestep can cause. */
export function bug(message: string): Error {
  return new Error(`onestep has a defect, please report it: ${message}`);
}

/** The entry of `candidates` that is closest to `word`, or undefined where none is close. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const [a, b] = [word.toLowerCase(), candidate.toLowerCase()];
    // A word cut short or drawn out is near too: gradient for grad; of several the one that lacks least.
    const begins = Math.min(a.length, b.length) >= 4 && (a.startsWith(b) || b.startsWith(a));
    const edits = editDistance(a, b);
    const distance = begins ? Math.min(edits, 1 + edits / 1000) : edits;
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** `options` as they are; E_OPTION where they are no object or have a key that `known` lacks, with the nearest right one. */
export function checkOptions<T extends object>(where: string, options: T, known: readonly string[]): T {
  const wrong = (): FlowError =>
    new FlowError(
      "E_OPTION",
      `${where}: options are ${textOfValue(options)}, expected an object such as { ${known[0]}: ${example(options)} }`,
    );
  if (typeof options !== "object" || options === null || Array.isArray(options)) throw wrong();
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    if (className(options) !== undefined) throw wrong();
    const near = nearest(key, known);
    throw new FlowError(
      "E_OPTION",
      `${where}: unknown option '${key}'${near === undefined ? `; known are ${known.join(", ")}` : `; did you mean '${near}'?`}`,
    );
  }
  return options;
}

/** How a message names a value of the wrong kind: `null`, `the number 1`, `an array`, `a Blob`. */
export function textOfValue(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return value.length === 0 ? "an empty array" : "an array";
  if (typeof value === "function") return "a function";
  if (typeof value === "object") {
    const name = className(value) ?? "object";
    return `${/^[aeiou]/i.test(name) ? "an" : "a"} ${name}`;
  }
  return `the ${typeof value} ${typeof value === "string" ? `'${value}'` : String(value)}`;
}

/** How a message gives a value whose kind may be right: as it is typed, `1.5`, `'x'`, `[1,2]`, or else as `textOfValue` names it. */
export function plainText(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "string") return `'${value}'`;
  const short = Array.isArray(value) && value.flat().length <= 20 && !value.flat().some(Array.isArray);
  return short ? `[${value.map(plainText).join(",")}]` : textOfValue(value);
}

/** E_ARGUMENT unless an option is true or false. */
export function requireBoolean(where: string, what: string, value: unknown): asserts value is boolean {
  if (typeof value !== "boolean")
    throw new FlowError("E_ARGUMENT", `${where}: ${what} is ${plainText(value)}, expected true or false`);
}

/** The class of an object that is not a plain one. */
function className(value: object): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return undefined;
  return (value.constructor as { readonly name?: string } | undefined)?.name;
}

/** A value that was passed by position, as it stands in an options object. */
function example(value: unknown): string {
  const short = Array.isArray(value) && value.every((entry) => typeof entry === "number");
  return short || ["number", "string", "boolean"].includes(typeof value) ? JSON.stringify(value) : "...";
}

// Frames of the package itself: everything under its dist/, or under src/ where source maps are on.
const ownFolders = ["..", "../../src/"].map((folder) => new URL(folder, import.meta.url).href);

/** True for a line of a stack trace, or a place in one, that lies in the package itself. */
export function isOwnFrame(frame: string): boolean {
  const site = /\(?((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*:\d+:\d+)\)?$/.exec(frame)?.[1];
  return site !== undefined && ownFolders.some((folder) => hrefOf(site).startsWith(folder));
}

/** The frames of a stack trace that lie in neither the package nor JavaScript or Node.js themselves. */
export function userFrames(stack: string | undefined): readonly string[] {
  return (stack ?? "")
    .split("\n")
    .filter(
      (line) => /^\s+at /.test(line) && !isOwnFrame(line) && !/\bnode:|\(<anonymous>\)$|\(index \d+\)$/.test(line),
    );
}

/** A stack trace without its frames: the error's name and message. */
export function headlineOf(stack: string): string {
  return stack.split("\n    at ")[0]!;
}

const hrefOf = (site: string): string =>
  site.startsWith("file:") ? site : `file://${site.startsWith("/") ? "" : "/"}${site.replaceAll("\\", "/")}`;

/** `file:line:column` of the nearest caller outside the package. */
export function callSite(): string {
  // A trace takes time for each of its frames, with source maps 10 us and more; the nearest caller is seldom far.
  return callSiteWithin(16) ?? callSiteWithin(50) ?? "an unknown place";
}

function callSiteWithin(frames: number): string | undefined {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = frames;
  const stack = new Error().stack ?? "";
  Error.stackTraceLimit = limit;
  for (const line of stack.split("\n").slice(1)) {
    const site = /\(?((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*:\d+:\d+)\)?$/.exec(line)?.[1];
    if (site === undefined || site.includes("node:internal")) continue;
    if (!isOwnFrame(line)) return decodeURI(hrefOf(site).slice("file://".length));
  }
  return undefined;
}
