import { FlowError, textOfValue } from "../core/errors.js";
import { Rng, streamOf } from "../core/rng.js";
import { activeBuilder } from "../graph/trace.js";
import { mirroredViewEnabled } from "./scope.js";
import { defaultSession } from "./session.js";

const counts = new WeakMap<object, number>();

/**
 * A seed for the option `seed` of random functions, and whether there is one: the one that is given, else one drawn from the session's
 * seed; in a mirrored view none is drawn, as documented, and the answer is `[-1, false]`.
 * @flow random.gen_seed
 * @example
 * ```ts job
 * flow.random.genSeed(7)[0]; // -> 7
 * ```
 */
export function genSeed(seed?: number): readonly [seed: number, hasSeed: boolean] {
  if (seed !== undefined) {
    if (!Number.isSafeInteger(seed))
      throw new FlowError("E_ARGUMENT", `random.genSeed: seed is ${textOfValue(seed)}, expected an integer`);
    return [seed, true];
  }
  const builder = activeBuilder();
  if (builder !== undefined && mirroredViewEnabled()) return [-1, false];
  const session = defaultSession();
  // Counted per job, so that the order in which jobs are traced changes nothing.
  const owner = builder ?? session;
  const count = counts.get(owner) ?? 0;
  counts.set(owner, count + 1);
  const rng = new Rng(streamOf(session.seed, "gen_seed", builder?.job ?? "", count));
  return [Math.floor(rng.uniform() * 2 ** 53), true];
}
