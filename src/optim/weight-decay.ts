import { FlowError, textOfValue } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { add, multiply } from "../ops/elementwise.js";
import type { UpdateContext } from "./optimizer.js";

/** One regular expression or several, as text or RegExp. */
export type Expressions = string | RegExp | readonly (string | RegExp)[];

/** Options of optimizers with weight decay. */
export interface WeightDecayOptions {
  /** Share of each weight that a step at rate 1 takes away; default 0. */
  readonly weightDecay?: number;
  /** Only variables in whose name one of these regular expressions is found decay. Not together with `weightDecayExcludes`. */
  readonly weightDecayIncludes?: Expressions;
  /** Variables in whose name one of these regular expressions is found, `["bias", "LayerNorm"]`, do not decay. */
  readonly weightDecayExcludes?: Expressions;
}

/** Names of the options. */
export const weightDecayOptions = ["weightDecay", "weightDecayIncludes", "weightDecayExcludes"] as const;

/** Which variables decay, and how much. */
export class WeightDecay {
  /** Of the variables that decay. */
  readonly rate: number;
  readonly #includes: readonly RegExp[] | undefined;
  readonly #excludes: readonly RegExp[];

  /** The options, checked. */
  constructor(where: string, { weightDecay = 0, weightDecayIncludes, weightDecayExcludes }: WeightDecayOptions) {
    if (!(Number.isFinite(weightDecay) && weightDecay >= 0))
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: weightDecay is ${textOfValue(weightDecay)}, expected a number of at least 0`,
      );
    if (weightDecayIncludes !== undefined && weightDecayExcludes !== undefined)
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: got weightDecayIncludes and weightDecayExcludes, expected at most one of them`,
      );
    this.rate = weightDecay;
    this.#includes = expressions(where, "weightDecayIncludes", weightDecayIncludes);
    this.#excludes = expressions(where, "weightDecayExcludes", weightDecayExcludes) ?? [];
  }

  /** The decay of a variable: the rate, or 0. */
  of(variable: string): number {
    const found = (list: readonly RegExp[]): boolean => list.some((expression) => expression.test(variable));
    return found(this.#excludes) || (this.#includes !== undefined && !found(this.#includes)) ? 0 : this.rate;
  }

  /** `change + decay w`. */
  added(change: Blob, { name, value }: UpdateContext): Blob {
    const decay = this.of(name);
    return decay === 0 ? change : add(change, multiply(value, decay));
  }
}

function expressions(where: string, what: string, given: Expressions | undefined): readonly RegExp[] | undefined {
  if (given === undefined) return undefined;
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  return list.map((entry) => {
    if ((typeof entry !== "string" && !(entry instanceof RegExp)) || entry === "")
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: ${what} holds ${entry === "" ? "an empty string" : textOfValue(entry)}, expected regular expressions such as "bias"`,
      );
    try {
      // A sticky or global expression would remember where it stopped.
      return entry instanceof RegExp ? new RegExp(entry.source, entry.flags.replace(/[gy]/g, "")) : new RegExp(entry);
    } catch (cause) {
      throw new FlowError("E_ARGUMENT", `${where}: ${what} holds '${String(entry)}', which is no regular expression`, {
        cause,
      });
    }
  });
}
