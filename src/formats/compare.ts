import { bug } from "../core/errors.js";
import type { ModelVariable } from "./model.js";
import { numbersOf } from "./numbers.js";

/** How the elements of two variables of one type differ. */
export interface Difference {
  readonly elements: number;
  /** Elements that are further apart than the tolerance; NaN equals NaN. */
  readonly different: number;
  /** Largest `|a - b|`; infinite where one of the two is NaN or an infinity. */
  readonly maxAbsolute: number;
  /** Largest `|a - b| / max(|a|, |b|)`. */
  readonly maxRelative: number;
}

/** Elements count as equal where `|a - b| <= absolute + relative * |b|`. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

/** Compares two variables of one type, a piece of each at a time. */
export async function compareVariables(a: ModelVariable, b: ModelVariable, tolerance: Tolerance): Promise<Difference> {
  if (a.type === undefined || b.type === undefined || a.bytes !== b.bytes)
    throw bug(`compareVariables: '${a.name}' and '${b.name}' have no common type`);
  let [elements, different, maxAbsolute, maxRelative] = [0, 0, 0, 0];
  const others = b.pieces()[Symbol.asyncIterator]();
  try {
    for await (const piece of a.pieces()) {
      const [left, right] = [numbersOf(a.type.dtype, piece), numbersOf(b.type.dtype, (await others.next()).value)];
      for (let i = 0; i < left.length; i++) {
        const [x, y] = [left[i]!, right[i]!];
        elements++;
        if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue;
        const distance = typeof x === "bigint" ? magnitude(x - (y as bigint)) : Math.abs(x - (y as number));
        const absolute = Number.isNaN(distance) ? Infinity : distance;
        const size = Math.max(Math.abs(Number(x)), Math.abs(Number(y)));
        const relative = absolute === Infinity ? Infinity : absolute / size;
        maxAbsolute = Math.max(maxAbsolute, absolute);
        maxRelative = Math.max(maxRelative, relative);
        if (!(absolute <= tolerance.absolute + tolerance.relative * Math.abs(Number(y))) || absolute === Infinity)
          different++;
      }
    }
  } finally {
    await others.return?.();
  }
  return { elements, different, maxAbsolute, maxRelative };
}

const magnitude = (value: bigint): number => Number(value < 0n ? -value : value);
