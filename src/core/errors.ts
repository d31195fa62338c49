/** Codes of every error a user can meet; `docs/errors.md` has a heading per code. */
export type ErrorCode =
  | "E_ARGUMENT"
  | "E_ASYNC_JOB"
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
  | "E_OPTIMIZER"
  | "E_OPTION"
  | "E_OUTSIDE_JOB"
  | "E_RETURNS"
  | "E_SHAPE"
  | "E_UNINITIALIZED"
  | "E_UNSUPPORTED"
  | "E_UPDATE"
  | "E_VARIABLE";

/** An error for the person at the keyboard: where, what was got, what was expected, what to do; `code` is stable. */
export class FlowError extends Error {
  override readonly name = "FlowError";
  constructor(
    readonly code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(`${message} [${code}]`, options.cause === undefined ? {} : { cause: options.cause });
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
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
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

/** Throws E_OPTION where `options` has a key that `known` lacks, with the nearest right one. */
export function checkOptions(where: string, options: object, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    throw new FlowError(
      "E_OPTION",
      `${where}: unknown option '${key}'${near === undefined ? `; known are ${known.join(", ")}` : `; did you mean '${near}'?`}`,
    );
  }
}

// Frames of the package itself: everything under its dist/, or under src/ where source maps are on.
const ownFolders = ["..", "../../src/"].map((folder) => new URL(folder, import.meta.url).href);

/** `file:line:column` of the nearest caller outside the package. */
export function callSite(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 50;
  const stack = new Error().stack ?? "";
  Error.stackTraceLimit = limit;
  for (const line of stack.split("\n").slice(1)) {
    const site = /\(?((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*:\d+:\d+)\)?$/.exec(line)?.[1];
    if (site === undefined || site.includes("node:internal")) continue;
    const href = site.startsWith("file:")
      ? site
      : `file://${site.startsWith("/") ? "" : "/"}${site.replaceAll("\\", "/")}`;
    if (!ownFolders.some((folder) => href.startsWith(folder))) return decodeURI(href.slice("file://".length));
  }
  return "an unknown place";
}
