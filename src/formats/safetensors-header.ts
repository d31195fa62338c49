import { FlowError } from "../core/errors.js";

/** A tensor as the header of a safetensors file describes it. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Where its bytes begin and end, counted from the end of the header. */
  readonly offsets: readonly [number, number];
}

export interface Header {
  readonly entries: readonly HeaderEntry[];
  readonly metadata: ReadonlyMap<string, string>;
}

// Ranks beyond this are a flaw or an attack.
const MOST_DIMENSIONS = 32;

/**
 * Reads the JSON header of a safetensors file entry by entry, so that what is no header costs no memory. Stricter than JSON: no name
 * twice, no unknown key, plain integers only.
 */
export function parseHeader(where: string, text: string): Header {
  let at = 0;
  const fail = (what: string): never => {
    throw new FlowError(
      "E_FORMAT",
      `${where}: its header ${what}, at character ${at}; it is damaged or no safetensors file`,
    );
  };
  const space = (): void => {
    while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at++;
  };
  const take = (character: string): void => {
    space();
    if (text[at] !== character)
      fail(`has ${at < text.length ? JSON.stringify(text[at]) : "its end"} where '${character}' belongs`);
    at++;
  };
  const takes = (character: string): boolean => {
    space();
    if (text[at] !== character) return false;
    at++;
    return true;
  };
  const string = (): string => {
    take('"');
    const start = at - 1;
    while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    if (at >= text.length) fail("ends inside a string");
    at++;
    try {
      return JSON.parse(text.slice(start, at)) as string;
    } catch {
      return fail("has a malformed string");
    }
  };
  const integer = (what: string): number => {
    space();
    const digits = /\d{0,20}/y;
    digits.lastIndex = at;
    const found = digits.exec(text)![0];
    const value = Number(found);
    if (found === "" || /[\d.eE+-]/.test(text[at + found.length] ?? "") || (found.length > 1 && found[0] === "0"))
      fail(`has a ${what} that is no plain integer of at least 0`);
    if (!Number.isSafeInteger(value)) fail(`has the ${what} ${found}, beyond 2^53`);
    at += found.length;
    return value;
  };
  const list = (what: string, most: number): number[] => {
    const values: number[] = [];
    take("[");
    if (takes("]")) return values;
    do {
      if (values.length === most) fail(`has a ${what} of more than ${most} numbers`);
      values.push(integer(what));
    } while (takes(","));
    take("]");
    return values;
  };
  const object = (what: string, member: (key: string) => void): void => {
    const seen = new Set<string>();
    take("{");
    if (takes("}")) return;
    do {
      const key = string();
      if (seen.has(key)) fail(`has ${JSON.stringify(key)} twice in ${what}`);
      seen.add(key);
      take(":");
      member(key);
    } while (takes(","));
    take("}");
  };
  const entry = (name: string): HeaderEntry => {
    let dtype: string | undefined;
    let shape: readonly number[] | undefined;
    let offsets: readonly number[] | undefined;
    const label = JSON.stringify(name);
    object(label, (key) => {
      if (key === "dtype") dtype = string();
      else if (key === "shape") shape = list("shape", MOST_DIMENSIONS);
      else if (key === "data_offsets") offsets = list("data_offsets", 2);
      else fail(`has the unknown key ${JSON.stringify(key)} in ${label}`);
    });
    if (dtype === undefined || shape === undefined || offsets?.length !== 2)
      return fail(`lacks dtype, shape or data_offsets in ${label}`);
    return { name, dtype, shape, offsets: [offsets[0]!, offsets[1]!] };
  };
  const entries: HeaderEntry[] = [];
  const metadata = new Map<string, string>();
  if (text[0] !== "{") fail("does not begin with '{'");
  object("the header", (name) => {
    if (name === "__metadata__") object("__metadata__", (key) => metadata.set(key, string()));
    else entries.push(entry(name));
  });
  while (text[at] === " ") at++;
  if (at < text.length) fail("goes on behind its end");
  return { entries, metadata };
}
