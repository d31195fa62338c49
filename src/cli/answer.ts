/** What a command found out, for `main` to print. */
export interface Answer {
  /** For stdout, with its line ends. */
  readonly text: string;
  /** For stderr, a line each. */
  readonly notes?: readonly string[];
  /** 0: done, and the answer is yes. 1: the answer is no. */
  readonly code?: 0 | 1;
}

/** JSON as `--json` prints it: what JSON cannot say (NaN, infinities, large integers) as strings, what is absent as null. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(
    value,
    (_, part: unknown) => {
      if (part === undefined) return null;
      if (typeof part === "bigint") return Number.isSafeInteger(Number(part)) ? Number(part) : String(part);
      return typeof part === "number" && !Number.isFinite(part) ? String(part) : part;
    },
    2,
  )}\n`;
}
