import { FlowError, textOfValue } from "../core/errors.js";
import type { Json } from "../core/json.js";
import { EXTRAS_LIMIT } from "./meta.js";

/**
 * A copy of what a user adds to a checkpoint. E_ARGUMENT, with the path to it, for what JSON would drop or change: undefined,
 * NaN, bigints, dates, typed arrays, cycles; and for more than 1 MiB of JSON.
 */
export function checkExtras(where: string, extras: unknown): Json {
  checkValue(where, extras, "extras", []);
  const text = JSON.stringify(extras);
  const bytes = Buffer.byteLength(text);
  if (bytes > EXTRAS_LIMIT)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: extras take ${bytes} bytes of JSON, expected at most ${EXTRAS_LIMIT}; keep large data in files of its own or in variables`,
    );
  return JSON.parse(text) as Json;
}

// A value deeper than this would not come back from every JSON reader.
const DEEPEST = 100;

function checkValue(where: string, value: unknown, path: string, above: readonly object[]): void {
  const refusal = (what: string): FlowError => {
    const expected = "expected JSON: null, booleans, finite numbers, strings, arrays and plain objects of them";
    return new FlowError("E_ARGUMENT", `${where}: ${path} is ${what}, ${expected}`);
  };
  if (value === null || typeof value === "boolean" || typeof value === "string") return;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw refusal(String(value));
    return;
  }
  if (typeof value !== "object") throw refusal(textOfValue(value));
  if (above.includes(value)) throw refusal("one of the objects that contain it");
  if (above.length === DEEPEST) throw refusal(`more than ${DEEPEST} levels deep`);
  const inner = [...above, value];
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) checkValue(where, value[i], `${path}[${i}]`, inner);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype)
    throw refusal(`a ${(prototype as { constructor?: { name?: string } }).constructor?.name ?? "class instance"}`);
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") throw refusal("an object with a toJSON method");
  for (const [key, entry] of Object.entries(value)) checkValue(where, entry, `${path}.${key}`, inner);
}
