import { missingLine, planLoad } from "../checkpoint/read.js";
import { saveCheckpoint } from "../checkpoint/write.js";
import { checkOptions, FlowError } from "../core/errors.js";
import type { Json } from "../core/json.js";
import type { Tensor } from "../core/tensor.js";
import { activeBuilder } from "../graph/trace.js";
import { defaultSession } from "./session.js";
import { RECORD } from "./stateful.js";

export interface InitOptions {
  /** Leave variables that have a value as they are; default false: all are set again, to the same first values. */
  readonly onlyMissing?: boolean;
}

/** What a load did: names in order. */
export interface LoadReport {
  readonly loaded: readonly string[];
  readonly initialized: readonly string[];
}

/**
 * Initial values, saving and loading of every variable of every job of the session: weights, optimizer slots, step
 * counters. Has no state of its own. Calls are ordered with job calls; a method resolves when it is done.
 * @flow train.CheckPoint
 */
export class CheckPoint {
  /** Gives every variable its initial value, which depends on the seed and the variable's name alone. */
  init(options: InitOptions = {}): Promise<void> {
    const session = outside("init");
    checkOptions("checkPoint.init", options, ["onlyMissing"]);
    return session.enqueue("checkPoint.init", async () => {
      for (const spec of session.registry.all()) {
        if (options.onlyMissing === true && session.isInitialized(spec.name)) continue;
        await session.write(spec.name, await session.initialValue(spec));
      }
    });
  }

  /**
   * Saves into `path`, which must be missing or an empty directory, each time. After a crash at any moment `path` is
   * either as before or complete.
   */
  save(path: string, options: { readonly [RECORD]?: Promise<Json> } = {}): Promise<void> {
    const session = outside("save");
    checkPath("save", path);
    // Positions are those of the call: batches handed out so far went to job calls made before it.
    const data = session.stateful.states();
    return session.enqueue("checkPoint.save", async () => {
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
        data,
        saved: await options[RECORD],
      });
    });
  }

  /**
   * Loads every variable that `path` holds; one that is missing there is initialised and a line says so on stdout. All is
   * checked before any variable changes; a directory that holds none of them is an error.
   */
  load(path: string): Promise<LoadReport> {
    const session = outside("load");
    checkPath("load", path);
    return session.enqueue("checkPoint.load", async () => {
      const { values, missing, state, warnings } = await planLoad(path, session.registry.all());
      const initial = new Map<string, Tensor>();
      const restoreData = session.stateful.prepare(state?.data ?? {});
      if (state !== undefined) session.resume(state.seed, state.calls);
      for (const spec of session.registry.all())
        if (!values.has(spec.name)) initial.set(spec.name, await session.initialValue(spec));
      for (const [name, value] of [...values, ...initial]) await session.write(name, value);
      restoreData();
      for (const warning of warnings) process.stderr.write(`${warning}\n`);
      for (const variable of missing) process.stdout.write(`${missingLine(path, variable)}\n`);
      return { loaded: [...values.keys()].sort(), initialized: missing.map(({ name }) => name) };
    });
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
