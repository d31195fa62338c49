import { checkExtras } from "../checkpoint/extras.js";
import { missingLine, type ReadOptions, readOptions } from "../checkpoint/read.js";
import { checkTarget, saveCheckpoint } from "../checkpoint/write.js";
import { checkOptions, FlowError, requireBoolean, textOfValue } from "../core/errors.js";
import type { Json } from "../core/json.js";
import type { Tensor } from "../core/tensor.js";
import { planModelLoad } from "../formats/load.js";
import { activeBuilder } from "../graph/trace.js";
import { fromCallSite } from "./call-site.js";
import { defaultSession, type Session } from "./session.js";
import { RECORD } from "./stateful.js";

/** Bytes of initial values that are written at once: a native call for each variable takes TensorFlow up to 0.1 s, all at once take memory. */
const writtenTogether = 64 * 2 ** 20;

/** Options of `checkPoint.init`. */
export interface InitOptions {
  /** Leave variables that have a value as they are; default false: all are set again, to the same first values. */
  readonly onlyMissing?: boolean;
}

/** Options of `checkPoint.save`. */
export interface SaveOptions {
  /** JSON of your own, at most 1 MiB, for `onestep.json`; `load` gives it back. */
  readonly extras?: Json;
  /**
   * Copies all values when the call's turn comes and writes them while later calls run; default false. One such save is written
   * at a time: the next waits in the queue for it, says so on stderr, and job calls after that one wait too.
   */
  readonly background?: boolean;
}

/** Options of `checkPoint.load`. */
export interface LoadOptions extends ReadOptions {
  /** Checks everything and gives the report, but changes and prints nothing; default false. */
  readonly dryRun?: boolean;
  /** False takes values alone: seed, call counts and positions of data sources stay the program's own, as fine-tuning wants. Default true. */
  readonly resume?: boolean;
}

/** Every key of `LoadOptions`. */
export const loadOptions = [...readOptions, "dryRun", "resume"] as const;

/** What a load did (or would do); names in order. */
export interface LoadReport {
  /** Variables that were read from the directory. */
  readonly loaded: readonly string[];
  /** Variables of the program that the directory lacks, or that `include` and `exclude` left out. */
  readonly initialized: readonly string[];
  /** Variables in the directory, under their names there, that were not loaded. */
  readonly unused: readonly string[];
  /** What the save was given as `extras`. */
  readonly extras: Json | undefined;
  /** What stderr was told of doubtful files. */
  readonly warnings: readonly string[];
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
 * const { loaded, initialized } = await checkPoint.load("./model_1");
 * [loaded, initialized]; // -> [["w"], []]
 * ```
 */
export class CheckPoint {
  /** Gives every variable its initial value, which depends on the seed and the variable's name alone. */
  init(options: InitOptions = {}): Promise<void> {
    const session = outside("init");
    checkOptions("checkPoint.init", options, ["onlyMissing"]);
    return fromCallSite(CheckPoint.prototype.init, () =>
      session.enqueue("checkPoint.init", async () => {
        const staging = await session.stage();
        try {
          let bytes = 0;
          for (const spec of session.registry.all()) {
            if (options.onlyMissing === true && session.isInitialized(spec.name)) continue;
            const { data } = await session.initialValue(spec, staging.tensor(spec.name));
            bytes += data.byteLength;
            if (bytes < writtenTogether) continue;
            await session.commit(staging);
            bytes = 0;
          }
          await session.commit(staging);
        } finally {
          staging.discard();
        }
      }),
    );
  }

  /**
   * Saves into `path`, which must be missing or an empty directory, each time. After a crash at any moment `path` is
   * either as before or complete; it is complete when this resolves, in the background too.
   */
  save(path: string, options: SaveOptions = {}): Promise<void> {
    const session = outside("save");
    checkPath("save", path);
    const where = `checkPoint.save('${path}')`;
    checkOptions(where, options, ["extras", "background"]);
    const { background = false } = options;
    checkFlags(where, { background });
    const extras = options.extras === undefined ? {} : { extras: checkExtras(where, options.extras) };
    // Positions are those of the call: batches handed out so far went to job calls made before it.
    const data = session.stateful.states();
    const save = async (): Promise<{ readonly writing: Promise<void> } | undefined> => {
      const variables = session.registry.all();
      const missing = variables.find(({ name }) => !session.isInitialized(name));
      if (missing !== undefined)
        throw new FlowError(
          "E_UNINITIALIZED",
          `${where}: variable '${missing.name}' has no value; call init or load first. Nothing was written`,
        );
      const { seed, calls } = session;
      const state = { seed, calls, data, saved: await (options as Recorded)[RECORD], ...extras };
      if (!background) {
        await saveCheckpoint(path, variables, (name) => session.view(name), state);
        return undefined;
      }
      await turnInBackground(session, where);
      await checkTarget(path);
      const copies = new Map<string, Tensor>();
      for (const { name } of variables) copies.set(name, await session.read(name));
      const taken = async (name: string): Promise<Tensor> => {
        const copy = copies.get(name)!;
        copies.delete(name);
        return copy;
      };
      const writing = saveCheckpoint(path, variables, taken, state);
      writtenInBackground(session, writing);
      // In an object: the queue must not wait for it.
      return { writing };
    };
    return fromCallSite(CheckPoint.prototype.save, async () => {
      const started = await session.enqueue("checkPoint.save", save);
      await started?.writing;
    });
  }

  /**
   * Loads every variable that `path` holds; one that is missing there is initialised and a line says so on stdout. All is
   * checked before any variable changes; a directory that holds none of them is an error.
   */
  load(path: string, options: LoadOptions = {}): Promise<LoadReport> {
    const session = outside("load");
    checkPath("load", path);
    const where = `checkPoint.load('${path}')`;
    checkOptions(where, options, loadOptions);
    const { verify = true, strict = false, allowEmpty = false, dryRun = false, resume = true } = options;
    checkFlags(where, { verify, strict, allowEmpty, dryRun, resume });
    const read = async (): Promise<LoadReport> => {
      const specs = session.registry.all();
      const staging = dryRun ? undefined : await session.stage();
      try {
        const target = staging === undefined ? null : ({ name }: { readonly name: string }) => staging.tensor(name);
        const { loaded, missing, excluded, unused, state, warnings } = await planModelLoad(
          path,
          specs,
          options,
          target,
        );
        const report: LoadReport = {
          loaded,
          initialized: [...missing, ...excluded].map(({ name }) => name).sort(),
          unused,
          extras: state?.extras,
          warnings,
        };
        const restoreData = session.stateful.prepare((resume && state?.data) || {});
        if (staging === undefined) return report;
        if (state !== undefined && resume) session.resume(state.seed, state.calls);
        const wanted = new Set(report.initialized);
        for (const spec of specs.filter(({ name }) => wanted.has(name)))
          await session.initialValue(spec, staging.tensor(spec.name));
        await session.commit(staging);
        restoreData();
        for (const warning of warnings) process.stderr.write(`${warning}\n`);
        for (const variable of missing) process.stdout.write(`${missingLine(path, variable)}\n`);
        return report;
      } finally {
        staging?.discard();
      }
    };
    return fromCallSite(CheckPoint.prototype.load, () => session.enqueue("checkPoint.load", read));
  }
}

/** What the manager adds to the options of `save`. */
type Recorded = { readonly [RECORD]?: Promise<Json> };

// --- one background save at a time ---------------------------------------------------------------------------------

const inBackground = new WeakMap<Session, Promise<void>>();

async function turnInBackground(session: Session, where: string): Promise<void> {
  const earlier = inBackground.get(session);
  if (earlier === undefined) return;
  process.stderr.write(`${where}: waits until the background save before it is written; job calls wait with it\n`);
  await earlier;
}

function writtenInBackground(session: Session, writing: Promise<void>): void {
  const ended = writing
    .catch(() => undefined)
    .then(() => {
      inBackground.delete(session);
    });
  inBackground.set(session, ended);
}

// --- arguments -----------------------------------------------------------------------------------------------------

function outside(method: string): Session {
  if (activeBuilder() !== undefined)
    throw new FlowError("E_ARGUMENT", `checkPoint.${method}: called inside a job function; call it outside`);
  return defaultSession();
}

function checkPath(method: string, path: unknown): void {
  const what =
    typeof path !== "string"
      ? `is ${textOfValue(path)}`
      : path === ""
        ? "is empty"
        : path.includes("\0")
          ? "has a NUL in it"
          : undefined;
  if (what !== undefined)
    throw new FlowError("E_ARGUMENT", `checkPoint.${method}: the path ${what}, expected a string`);
}

function checkFlags(where: string, flags: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(flags)) requireBoolean(where, name, value);
}
