import { missingLine, planLoad } from "../checkpoint/read.js";
import { saveCheckpoint } from "../checkpoint/write.js";
import { checkOptions, FlowError } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import { activeBuilder } from "../graph/trace.js";
import { fromCallSite } from "./call-site.js";
import { defaultSession } from "./session.js";

/** Options of `checkPoint.init`. */
export interface InitOptions {
  /** Leave variables that have a value as they are; default false: all are set again, to the same first values. */
  readonly onlyMissing?: boolean;
}

/** What a load did: names in order. */
export interface LoadReport {
  /** Variables that were read from the directory. */
  readonly loaded: readonly string[];
  /** Variables that were missing there and got their initial values. */
  readonly initialized: readonly string[];
}

/**
 * Initial values, saving and loading of every variable of every job of the session: weights, optimizer slots, step
 * counters. Has no state of its own. Calls are ordered with job calls; a method resolves when it is done.
 * @flow train.CheckPoint
 * @example
 * ```ts
 * const model = flow.globalFunction({ name: "model", returns: tp.Numpy }, () =>
 *   flow.getVariable("w", { shape: [2], initializer: flow.constantInitializer(0.5) }),
 * );
 * const checkPoint = new flow.train.CheckPoint();
 * await checkPoint.init();
 * await model(); // -> [0.5, 0.5]
 * await checkPoint.save("./model_1");
 * await checkPoint.save("./model_1"); // throws E_CKPT_EXISTS
 * await checkPoint.load("./model_1"); // -> { loaded: ["w"], initialized: [] }
 * ```
 */
export class CheckPoint {
  /** Gives every variable its initial value, which depends on the seed and the variable's name alone. */
  init(options: InitOptions = {}): Promise<void> {
    const session = outside("init");
    checkOptions("checkPoint.init", options, ["onlyMissing"]);
    return fromCallSite(CheckPoint.prototype.init, () =>
      session.enqueue("checkPoint.init", async () => {
        for (const spec of session.registry.all()) {
          if (options.onlyMissing === true && session.isInitialized(spec.name)) continue;
          await session.write(spec.name, await session.initialValue(spec));
        }
      }),
    );
  }

  /**
   * Saves into `path`, which must be missing or an empty directory, each time. After a crash at any moment `path` is
   * either as before or complete.
   */
  save(path: string): Promise<void> {
    const session = outside("save");
    checkPath("save", path);
    return fromCallSite(CheckPoint.prototype.save, () =>
      session.enqueue("checkPoint.save", async () => {
        const variables = session.registry.all();
        const missing = variables.find(({ name }) => !session.isInitialized(name));
        if (missing !== undefined)
          throw new FlowError(
            "E_UNINITIALIZED",
            `checkPoint.save('${path}'): variable '${missing.name}' has no value; call init or load first. Nothing was written`,
          );
        await saveCheckpoint(path, variables, (name) => session.read(name), {
          seed: session.seed,
          calls: session.calls,
        });
      }),
    );
  }

  /**
   * Loads every variable that `path` holds; one that is missing there is initialised and a line says so on stdout. All is
   * checked before any variable changes; a directory that holds none of them is an error.
   */
  load(path: string): Promise<LoadReport> {
    const session = outside("load");
    checkPath("load", path);
    return fromCallSite(CheckPoint.prototype.load, () =>
      session.enqueue("checkPoint.load", async () => {
        const { values, missing, state, warnings } = await planLoad(path, session.registry.all());
        const initial = new Map<string, Tensor>();
        if (state !== undefined) session.resume(state.seed, state.calls);
        for (const spec of session.registry.all())
          if (!values.has(spec.name)) initial.set(spec.name, await session.initialValue(spec));
        for (const [name, value] of [...values, ...initial]) await session.write(name, value);
        for (const warning of warnings) process.stderr.write(`${warning}\n`);
        for (const variable of missing) process.stdout.write(`${missingLine(path, variable)}\n`);
        return { loaded: [...values.keys()].sort(), initialized: missing.map(({ name }) => name) };
      }),
    );
  }
}

function outside(method: string): ReturnType<typeof defaultSession> {
  if (activeBuilder() !== undefined)
    throw new FlowError("E_ARGUMENT", `checkPoint.${method}: called inside a job function; call it outside`);
  return defaultSession();
}

function checkPath(method: string, path: unknown): void {
  if (typeof path !== "string" || path === "")
    throw new FlowError(
      "E_ARGUMENT",
      `checkPoint.${method}: the path is ${path === "" ? "empty" : typeof path}, expected a string`,
    );
}
