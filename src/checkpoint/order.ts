import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isRecord, parseJson } from "../core/json.js";
import { absent } from "./files.js";
import { DONE, STATE } from "./layout.js";

/** A checkpoint among others in one directory. */
export interface Ordered {
  readonly name: string;
  /** Steps of all its train jobs together; undefined where none is recorded. */
  readonly step: number | undefined;
  /** Number of the run that saved it, where a manager recorded one. */
  readonly run: number | undefined;
  /** Whether its save was marked as finished. */
  readonly marked: boolean;
}

const stepPrefix = "System-Train-TrainStep-";

/** The checkpoints in `root`, oldest first: by run, then by recorded steps, never by clock; those without a step come first. Other entries are left out. */
export async function ordered(root: string): Promise<readonly Ordered[]> {
  const found: Ordered[] = [];
  for (const name of (await readdir(root)).filter((name) => !name.startsWith("."))) {
    const dir = join(root, name);
    const names = await readdir(dir).catch(absent);
    if (names === undefined) continue;
    const marked = (await stat(join(dir, DONE)).catch(absent)) !== undefined;
    const step = await stepOf(dir, names);
    if (marked || step !== undefined) found.push({ name, step, run: await runOf(dir), marked });
  }
  const keys = ({ run, step }: Ordered): readonly [number, number] => [run ?? -1, step ?? -1];
  return found.sort((a, b) => {
    const [[runA, stepA], [runB, stepB]] = [keys(a), keys(b)];
    return runA - runB || stepA - stepB || (a.name < b.name ? -1 : 1);
  });
}

async function stepOf(dir: string, names: readonly string[]): Promise<number | undefined> {
  let total: number | undefined;
  for (const name of names.filter((name) => name.startsWith(stepPrefix))) {
    const bytes = await readFile(join(dir, name, "out")).catch(absent);
    if (bytes?.length === 8) total = (total ?? 0) + Number(bytes.readBigInt64LE());
  }
  return total;
}

async function runOf(dir: string): Promise<number | undefined> {
  const state = parseJson((await readFile(join(dir, STATE), "utf8").catch(absent)) ?? "");
  const saved = isRecord(state) ? state.saved : undefined;
  return isRecord(saved) && Number.isSafeInteger(saved.run) ? (saved.run as number) : undefined;
}
