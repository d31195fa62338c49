import { streamOf } from "../core/rng.js";
import type { HostContext } from "../ops/define.js";

/** What a host op sees at a call, from a seed and the path of its streams, on any thread. */
export function hostContext(seed: number, path: readonly (string | number)[], call: number): HostContext {
  return {
    stream: streamOf(seed, ...path, call),
    call,
    streamOfEpoch: (epoch) => streamOf(seed, ...path, "epoch", epoch),
  };
}
