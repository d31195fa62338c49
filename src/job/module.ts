import { checkOptions, FlowError, textOfValue } from "../core/errors.js";
import { currentBuilder, type GraphBuilder } from "../graph/trace.js";

/**
 * A reusable part of models: override `forward` and call the part by `call`. `callSeqNo` counts the calls.
 * @flow nn.Module
 */
export abstract class Module {
  #calls = 0;

  /** For who looks; default the class's name. */
  readonly name: string;

  constructor(name?: string) {
    this.name = name ?? new.target.name;
  }

  /** Calls made so far. */
  get callSeqNo(): number {
    return this.#calls;
  }

  /** What the part computes. */
  abstract forward(...args: unknown[]): unknown;

  /** Counts the call and gives what `forward` gives. */
  call(...args: Parameters<this["forward"]>): ReturnType<this["forward"]> {
    this.#calls++;
    return this.forward(...(args as unknown[])) as ReturnType<this["forward"]>;
  }
}

const modules = new WeakMap<GraphBuilder, Map<string, unknown>>();

/**
 * Inside a job: the module of this name, made by `create` where the job has none. Again, it is E_DUPLICATE unless `reuse` is
 * true.  @flow find_or_create_module
 */
export function findOrCreateModule<M>(name: string, create: () => M, options: { readonly reuse?: boolean } = {}): M {
  checkOptions("findOrCreateModule", options, ["reuse"]);
  const { reuse = false } = options;
  const builder = currentBuilder("findOrCreateModule");
  if (typeof name !== "string" || typeof create !== "function")
    throw new FlowError(
      "E_ARGUMENT",
      `findOrCreateModule: got ${textOfValue(name)} and ${textOfValue(create)}, expected a name and a function that makes the module`,
    );
  const known = modules.get(builder) ?? new Map<string, unknown>();
  modules.set(builder, known);
  if (known.has(name)) {
    if (!reuse)
      throw new FlowError(
        "E_DUPLICATE",
        `findOrCreateModule: job '${builder.job}' has a module '${name}' already; pass { reuse: true } to share it`,
      );
    return known.get(name) as M;
  }
  const made = create();
  known.set(name, made);
  return made;
}
