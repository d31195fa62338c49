import { randomBytes } from "node:crypto";
import { readdir, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { FlowError } from "../core/errors.js";
import { isRecord, type Json } from "../core/json.js";
import { absent, fsExtra, syncDirectory } from "./files.js";
import { DONE, STATE } from "./layout.js";
import { readState } from "./meta.js";
import { verifyCheckpoint } from "./verify.js";

/** Which checkpoints stay. With none of the numbers all do; else the newest does, and what any rule keeps. */
export interface Retention {
  /** This many of the newest. */
  readonly keepLast?: number;
  /** This many of the best by the metric given to `save`. */
  readonly keepBest?: number;
  /** Which metric is better: "min" (default) or "max". */
  readonly mode?: "min" | "max";
  /** The first at or after each multiple of this many steps. */
  readonly keepEvery?: number;
}

/** What `save` records in `onestep.json`: the run, the number of the save in it, and the metric. */
export interface SaveRecord {
  readonly run: number;
  readonly save: number;
  /** Null where none was given, or it was not finite. */
  readonly metric: number | null;
}

/** A finished checkpoint in a manager's root. */
export interface Entry {
  readonly name: string;
  /** Steps of all its train jobs together; undefined where none is recorded. */
  readonly step: number | undefined;
  /** Undefined where no manager saved it. */
  readonly record: SaveRecord | undefined;
}

/** A directory that has the prefix and is not taken. */
export interface Skipped {
  readonly name: string;
  readonly why: string;
  /** Whether its save had finished: then it was a checkpoint once. */
  readonly finished: boolean;
  /** As of an entry. */
  readonly step: number | undefined;
}

/** The checkpoints in `root` whose names begin with `prefix`, oldest first, and what is none. */
export async function listing(
  root: string,
  prefix: string,
): Promise<{ readonly entries: readonly Entry[]; readonly skipped: readonly Skipped[] }> {
  const entries: Entry[] = [];
  const skipped: Skipped[] = [];
  for (const name of (await readdir(root)).filter((name) => name.startsWith(prefix) && !name.startsWith(".")).sort()) {
    const dir = join(root, name);
    const names = await readdir(dir).catch(absent);
    if (names === undefined) continue;
    const step = await stepOf(dir, names);
    if ((await stat(join(dir, DONE)).catch(absent)) === undefined) {
      const why = `it has no '${DONE}': its save never finished, or a tool dropped the empty folder`;
      skipped.push({ name, why, finished: false, step });
      continue;
    }
    try {
      const state = await readState(`'${name}'`, join(dir, STATE));
      entries.push({ name, step, record: recordOf(state?.saved) });
    } catch (error) {
      if (!(error instanceof FlowError)) throw error;
      skipped.push({ name, why: error.message, finished: true, step });
    }
  }
  return { entries: entries.sort(byAge), skipped };
}

/** What is wrong with the marked checkpoint at `dir`, all hashes checked, or undefined. */
export async function damageOf(dir: string): Promise<string | undefined> {
  try {
    return (await verifyCheckpoint(dir)).problems[0]?.message;
  } catch (error) {
    if (error instanceof FlowError) return error.message;
    throw error;
  }
}

const stepPrefix = "System-Train-TrainStep-";

async function stepOf(dir: string, names: readonly string[]): Promise<number | undefined> {
  let total: number | undefined;
  for (const name of names.filter((name) => name.startsWith(stepPrefix))) {
    const bytes = await readFile(join(dir, name, "out")).catch(absent);
    if (bytes?.length === 8) total = (total ?? 0) + Number(bytes.readBigInt64LE());
  }
  return total;
}

function recordOf(saved: unknown): SaveRecord | undefined {
  if (!isRecord(saved) || !Number.isSafeInteger(saved.run) || !Number.isSafeInteger(saved.save)) return undefined;
  const metric = typeof saved.metric === "number" ? saved.metric : null;
  return { run: saved.run as number, save: saved.save as number, metric };
}

/** The record as it goes into `onestep.json`. */
export function recordJson({ run, save, metric }: SaveRecord): Json {
  return { run, save, metric };
}

// Saves of a run in their order, which is that of its steps; what no manager saved is older than all, and goes by its steps.
function byAge(a: Entry, b: Entry): number {
  const keys = ({ record, step }: Entry): readonly number[] => [record?.run ?? -1, record?.save ?? -1, step ?? -1];
  const [left, right] = [keys(a), keys(b)];
  const at = left.findIndex((key, i) => key !== right[i]);
  return at === -1 ? (a.name < b.name ? -1 : 1) : left[at]! - right[at]!;
}

/** Names of the checkpoints that stay, of `entries` oldest first. What no manager saved stays always. */
export function retained(entries: readonly Entry[], { keepLast, keepBest, mode, keepEvery }: Retention): Set<string> {
  const ours = entries.filter(({ record }) => record !== undefined);
  const stays = new Set(entries.filter(({ record }) => record === undefined).map(({ name }) => name));
  const keep = (some: readonly Entry[]): void => {
    for (const { name } of some) stays.add(name);
  };
  if (keepLast === undefined && keepBest === undefined && keepEvery === undefined) keep(ours);
  keep(ours.slice(-(keepLast ?? 1)));
  if (keepBest !== undefined) keep(best(ours, mode).slice(0, keepBest));
  if (keepEvery !== undefined) {
    const firsts = new Map<number, Entry>();
    for (const entry of ours) {
      const multiple = Math.floor((entry.step ?? 0) / keepEvery);
      if (multiple > 0 && !firsts.has(multiple)) firsts.set(multiple, entry);
    }
    keep([...firsts.values()]);
  }
  return stays;
}

/** The entries that have a metric, best first; of equal ones the older is better. */
export function best(entries: readonly Entry[], mode: "min" | "max" = "min"): readonly Entry[] {
  const value = ({ record }: Entry): number => (mode === "min" ? 1 : -1) * record!.metric!;
  return entries.filter(({ record }) => typeof record?.metric === "number").sort((a, b) => value(a) - value(b));
}

const leftover = /^\.(?<name>.+)\.[0-9a-f]{12}\.deleting$/su;

/** Deletes the checkpoints in `root` that no rule keeps, and what an earlier deletion left. A crash leaves no half of one. */
export async function prune(root: string, prefix: string, retention: Retention): Promise<void> {
  const { entries } = await listing(root, prefix);
  const stays = retained(entries, retention);
  for (const { name } of entries) if (!stays.has(name)) await setAside(root, name);
  await removeAside(root, prefix);
}

/** Takes a checkpoint out of `root` under a hidden name, at once: what a crash leaves then is no half of one. */
export async function setAside(root: string, name: string): Promise<void> {
  const aside = join(root, `.${name}.${randomBytes(6).toString("hex")}.deleting`);
  // Another process may have deleted it.
  await rename(join(root, name), aside).catch(absent);
  await syncDirectory(root);
}

/** Deletes what was set aside in `root`, now or before a crash, of names that begin with `prefix`. */
export async function removeAside(root: string, prefix: string): Promise<void> {
  for (const name of await readdir(root)) {
    if (leftover.exec(name)?.groups?.name?.startsWith(prefix)) await (await fsExtra()).remove(join(root, name));
  }
}
