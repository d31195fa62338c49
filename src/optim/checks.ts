import { FlowError, plainText, textOfValue } from "../core/errors.js";

/** E_ARGUMENT unless a value is a boolean. */
export function requireBoolean(where: string, what: string, value: unknown): void {
  if (typeof value !== "boolean")
    throw new FlowError("E_ARGUMENT", `${where}: ${what} is ${textOfValue(value)}, expected true or false`);
}

/** E_ARGUMENT unless a number is finite. */
export function requireFinite(where: string, what: string, value: unknown): void {
  if (!Number.isFinite(value))
    throw new FlowError("E_ARGUMENT", `${where}: ${what} is ${textOfValue(value)}, expected a finite number`);
}

/** E_ARGUMENT unless a number is finite and not negative. */
export function requireNotNegative(where: string, what: string, value: number): void {
  if (!(Number.isFinite(value) && value >= 0))
    throw new FlowError("E_ARGUMENT", `${where}: ${what} is ${textOfValue(value)}, expected at least 0`);
}

/** E_ARGUMENT unless a number is the share of an old mean. */
export function requireShare(where: string, what: string, value: number): void {
  if (!(typeof value === "number" && value >= 0 && value < 1))
    throw new FlowError("E_ARGUMENT", `${where}: ${what} is ${plainText(value)}, expected 0 <= ${what} < 1`);
}

/** E_ARGUMENT unless a number counts steps. */
export function requireSteps(where: string, steps: unknown, least = 1): void {
  if (!Number.isSafeInteger(steps) || (steps as number) < least)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: steps is ${textOfValue(steps)}, expected a number of steps of at least ${least}`,
    );
}
