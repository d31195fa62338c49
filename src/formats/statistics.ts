import { bug } from "../core/errors.js";
import type { ModelVariable } from "./model.js";
import { numbersOf } from "./numbers.js";

/** What the elements of a variable are like. */
export interface Statistics {
  /** Smallest and largest that is not NaN; bigint for int64; undefined without any. */
  readonly min: number | bigint | undefined;
  readonly max: number | bigint | undefined;
  /** Of the finite elements; undefined without any. */
  readonly mean: number | undefined;
  /** Population standard deviation of the finite elements. */
  readonly std: number | undefined;
  readonly nan: number;
  readonly infinite: number;
}

/** Looks at every element of a variable, a piece at a time. The variable has a type. */
export async function statisticsOf(variable: ModelVariable): Promise<Statistics> {
  if (variable.type === undefined) throw bug(`statisticsOf: '${variable.name}' has no type`);
  let [min, max]: [number | bigint | undefined, number | bigint | undefined] = [undefined, undefined];
  let [count, mean, squares, nan, infinite] = [0, 0, 0, 0, 0];
  for await (const piece of variable.pieces()) {
    const values = numbersOf(variable.type.dtype, piece);
    let [finite, sum] = [0, 0];
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      const number = Number(value);
      if (Number.isNaN(number)) {
        nan++;
        continue;
      }
      if (min === undefined || value < min) min = value;
      if (max === undefined || value > max) max = value;
      if (!Number.isFinite(number)) infinite++;
      else {
        finite++;
        sum += number;
      }
    }
    if (finite === 0) continue;
    // Two passes over a piece, then the pieces joined: sums of squares alone would lose the small deviations of large means.
    const centre = sum / finite;
    let around = 0;
    for (let i = 0; i < values.length; i++) {
      const distance = Number(values[i]!) - centre;
      if (Number.isFinite(distance)) around += distance * distance;
    }
    const apart = centre - mean;
    const total = count + finite;
    squares += around + (apart * apart * count * finite) / total;
    mean += (apart * finite) / total;
    count = total;
  }
  return {
    min,
    max,
    mean: count === 0 ? undefined : mean,
    std: count === 0 ? undefined : Math.sqrt(squares / count),
    nan,
    infinite,
  };
}
