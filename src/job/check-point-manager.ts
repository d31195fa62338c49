import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { best, damageOf, type Entry, listing, prune, type Retention, recordJson } from "../checkpoint/manager.js";
import { checkOptions, FlowError, plainText, textOfValue } from "../core/errors.js";
import type { Json } from "../core/json.js";
import { CheckPoint, type LoadOptions, loadOptions, type SaveOptions } from "./check-point.js";
import { RECORD } from "./stateful.js";

/** Options of `SimpleCheckPointManager`. */
export interface ManagerOptions extends Retention {
  /** What names of checkpoints begin with; default "snapshot_". */
  readonly prefix?: string;
}

export interface ManagedSaveOptions extends SaveOptions {
  /** What `keepBest` and `bestCheckpoint` compare; NaN is never best. */
  readonly metric?: number;
}

/**
 * Checkpoints in one folder, `<rootPath>/<prefix><local time>` each. They are ordered by what was recorded at their save, never by
 * name or clock; older ones are deleted as the options say, once a newer one is complete. One process at a time writes to a root.
 * @flow train.SimpleCheckPointManager
 */
export class SimpleCheckPointManager {
  readonly #root: string;
  readonly #prefix: string;
  readonly #retention: Retention;
  readonly #checkPoint = new CheckPoint();
  readonly #told = new Set<string>();
  // One more than the newest run in the folder, read at the first save.
  #run: Promise<number> | undefined;
  #saves = 0;
  #pruning: Promise<void> = Promise.resolve();

  /** Makes `rootPath` where it is missing. By default nothing is ever deleted. */
  constructor(rootPath: string, prefix: string | ManagerOptions = "snapshot_", options: ManagerOptions = {}) {
    const where = "SimpleCheckPointManager";
    const all = typeof prefix === "string" ? { prefix, ...options } : prefix;
    if (typeof rootPath !== "string" || rootPath === "")
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: rootPath is ${rootPath === "" ? "empty" : textOfValue(rootPath)}, expected a path`,
      );
    checkOptions(where, all, ["prefix", "keepLast", "keepBest", "mode", "keepEvery"]);
    const { prefix: start = "snapshot_", ...retention } = all;
    if (typeof start !== "string" || !/^([\w+-][\w.+-]{0,99})?$/.test(start))
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: prefix is ${plainText(start)}, expected letters, digits and _ . + -, no dot first, at most 100`,
      );
    for (const key of ["keepLast", "keepBest", "keepEvery"] as const) {
      const value = retention[key];
      if (value !== undefined && (!Number.isSafeInteger(value) || value < 1))
        throw new FlowError("E_ARGUMENT", `${where}: ${key} is ${plainText(value)}, expected an integer from 1`);
    }
    if (retention.mode !== undefined && retention.mode !== "min" && retention.mode !== "max")
      throw new FlowError("E_ARGUMENT", `${where}: mode is ${plainText(retention.mode)}, expected "min" or "max"`);
    this.#root = rootPath;
    this.#prefix = start;
    this.#retention = retention;
    try {
      mkdirSync(rootPath, { recursive: true });
      if (!statSync(rootPath).isDirectory()) throw new Error("it is not a directory");
    } catch (cause) {
      throw new FlowError(
        "E_CKPT_DIR",
        `${where}('${rootPath}'): ${(cause as Error).message}; give a folder for checkpoints`,
        {
          cause,
        },
      );
    }
  }

  /** Names of the finished checkpoints, oldest first. */
  async listCheckpoints(): Promise<string[]> {
    return (await listing(this.#root, this.#prefix)).entries.map(({ name }) => name);
  }

  /** Name of the newest checkpoint that is whole, all hashes checked; null where there is none. Says on stderr what it skips. */
  async latestCheckpoint(): Promise<string | null> {
    return (await this.#whole((entries) => [...entries].reverse())).name;
  }

  /** Name of the whole checkpoint with the best metric; null where none has one. */
  async bestCheckpoint(): Promise<string | null> {
    return (await this.#whole((entries) => best(entries, this.#retention.mode))).name;
  }

  /**
   * Loads the newest whole checkpoint and resolves to its name; without any, initialises, saves and resolves to null. Where there are
   * checkpoints and none is whole, that is an error.
   */
  async initializeOrRestore(options: LoadOptions = {}): Promise<string | null> {
    checkOptions(`${this.#where}.initializeOrRestore`, options, loadOptions);
    const { name, broken } = await this.#whole((entries) => [...entries].reverse());
    if (name !== null) {
      // All hashes have just been checked.
      await this.#checkPoint.load(join(this.#root, name), { verify: false, ...options });
      // Saves from here on are a new run, whatever this object saved before.
      this.#run = undefined;
      return name;
    }
    if (broken.length > 0)
      throw new FlowError(
        "E_CKPT_DIR",
        `${this.#where}.initializeOrRestore: none of its checkpoints is whole (${broken.join("; ")}); repair one or move them away to start afresh`,
      );
    await this.#checkPoint.init();
    await this.save();
    return null;
  }

  /** Saves to a new checkpoint, then deletes those that no rule keeps; resolves to the path. */
  save(options: ManagedSaveOptions = {}): Promise<string> {
    const { metric, ...rest } = checkOptions(`${this.#where}.save`, options, ["metric", "extras", "background"]);
    if (metric !== undefined && typeof metric !== "number")
      throw new FlowError("E_ARGUMENT", `${this.#where}.save: metric is ${textOfValue(metric)}, expected a number`);
    const path = join(this.#root, this.#freshName());
    const saved = this.#record(Number.isFinite(metric) ? metric! : null);
    // The save itself waits for it, and has its error.
    saved.catch(() => undefined);
    // No await before this: what is saved is the state of the call.
    const recorded: SaveOptions = Object.assign({ ...rest }, { [RECORD]: saved });
    const done = this.#checkPoint.save(path, recorded);
    return this.#afterwards(done, path);
  }

  async #afterwards(done: Promise<void>, path: string): Promise<string> {
    await done;
    this.#pruning = this.#pruning.then(async () => {
      try {
        await prune(this.#root, this.#prefix, this.#retention);
      } catch (error) {
        // The new checkpoint is complete; too many old ones are no reason to stop a run.
        process.stderr.write(`${this.#where}: an old checkpoint could not be deleted: ${(error as Error).message}\n`);
      }
    });
    await this.#pruning;
    return path;
  }

  async #record(metric: number | null): Promise<Json> {
    if (this.#run === undefined) {
      this.#saves = 0;
      this.#run = listing(this.#root, this.#prefix).then(
        ({ entries }) => 1 + Math.max(0, ...entries.map(({ record }) => record?.run ?? 0)),
      );
      this.#run.catch(() => {
        this.#run = undefined;
      });
    }
    const save = this.#saves++;
    return recordJson({ run: await this.#run, save, metric });
  }

  /** The first whole one of some order of the checkpoints, and what was broken. */
  async #whole(
    order: (entries: readonly Entry[]) => readonly Entry[],
  ): Promise<{ readonly name: string | null; readonly broken: readonly string[] }> {
    const { entries, skipped } = await listing(this.#root, this.#prefix);
    for (const { name, why } of skipped) this.#tell(name, why);
    const broken = skipped.filter(({ finished }) => finished).map(({ name, why }) => `'${name}': ${why}`);
    for (const { name } of order(entries)) {
      const damage = await damageOf(join(this.#root, name));
      if (damage === undefined) return { name, broken };
      this.#tell(name, damage);
      broken.push(`'${name}': ${damage}`);
    }
    return { name: null, broken };
  }

  #tell(name: string, why: string): void {
    const line = `${this.#where}: skipped '${name}': ${why}\n`;
    if (!this.#told.has(line)) process.stderr.write(line);
    this.#told.add(line);
  }

  get #where(): string {
    return `SimpleCheckPointManager('${this.#root}')`;
  }

  /** Prefix and local time with microseconds, as documented; counted up where that is taken. */
  #freshName(): string {
    const now = new Date();
    const two = (value: number): string => String(value).padStart(2, "0");
    const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
    const time = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
    for (let micro = now.getMilliseconds() * 1000; ; micro++) {
      const name = `${this.#prefix}${day}_${time}_${String(micro).padStart(6, "0")}`;
      if (this.#names.has(name) || existsSync(join(this.#root, name))) continue;
      this.#names.add(name);
      return name;
    }
  }
  readonly #names = new Set<string>();
}
