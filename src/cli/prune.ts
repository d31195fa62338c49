import { stat } from "node:fs/promises";
import { join } from "node:path";
import { absent, errnoOf } from "../checkpoint/files.js";
import { DONE } from "../checkpoint/layout.js";
import { damageOf, listing, removeAside, setAside } from "../checkpoint/manager.js";
import { FlowError } from "../core/errors.js";
import { type Answer, jsonText } from "./answer.js";
import { table } from "./layout.js";
import { mustExist } from "./paths.js";

export interface PruneOptions {
  /** This many of the newest whole checkpoints stay; at least 1. */
  readonly keepLast?: number;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

interface Decision {
  readonly name: string;
  readonly step: number | undefined;
  readonly run: number | undefined;
  readonly action: "keep" | "remove" | "leave";
  /** Why it is left alone. */
  readonly why: string | undefined;
}

/**
 * Removes old checkpoints in a directory of checkpoints. The ones that stay are verified to the last byte before anything goes; what is
 * unfinished, damaged or without a recorded step is neither counted nor removed.
 */
export async function prune(root: string, options: PruneOptions): Promise<Answer> {
  const where = `prune('${root}')`;
  const { keepLast } = options;
  if (keepLast === undefined) throw new FlowError("E_ARGUMENT", `${where}: say how many stay, such as --keep-last 3`);
  mustExist(where, root);
  try {
    if (!(await stat(root)).isDirectory())
      throw new FlowError(
        "E_CKPT_DIR",
        `${where}: '${root}' is not a directory; give the one that holds the checkpoints`,
      );
    if ((await stat(join(root, DONE)).catch(absent)) !== undefined)
      throw new FlowError(
        "E_CKPT_DIR",
        `${where}: '${root}' is a checkpoint itself; give the directory that holds the checkpoints`,
      );
    const decisions = await decide(root, keepLast);
    if (decisions.length === 0)
      throw new FlowError("E_CKPT_DIR", `${where}: '${root}' holds no checkpoint; give the directory that holds them`);
    if (options.dryRun !== true) {
      for (const { name, action } of decisions) if (action === "remove") await setAside(root, name);
      await removeAside(root, "");
    }
    return answer(root, decisions, options);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw new FlowError("E_CKPT_IO", `${where}: ${(error as Error).message}; what was not removed is whole`, {
      cause: error,
    });
  }
}

async function decide(root: string, keepLast: number): Promise<readonly Decision[]> {
  const { entries, skipped } = await listing(root, "");
  const decisions: Decision[] = [];
  let kept = 0;
  for (const { name, step, record } of [...entries].reverse()) {
    let why = step === undefined ? "no recorded step" : undefined;
    // Older ones than the last that stays need not be whole to go.
    if (why === undefined && kept < keepLast && (await damageOf(join(root, name))) !== undefined) why = "damaged";
    const action = why !== undefined ? "leave" : kept++ < keepLast ? "keep" : "remove";
    decisions.push({ name, step, run: record?.run, action, why });
  }
  // Without mark and step it is no checkpoint at all.
  const others = skipped.filter(({ finished, step }) => finished || step !== undefined);
  for (const { name, finished, step } of others)
    decisions.push({ name, step, run: undefined, action: "leave", why: finished ? "damaged" : "not finished" });
  return decisions.reverse();
}

function answer(root: string, decisions: readonly Decision[], { dryRun = false, json = false }: PruneOptions): Answer {
  const names = (action: Decision["action"]): readonly string[] =>
    decisions.filter((decision) => decision.action === action).map(({ name }) => name);
  if (json) {
    return { text: jsonText({ root, dryRun, checkpoints: decisions }) };
  }
  const rows = decisions.map(({ name, step, action, why }) => [
    name,
    action === "leave" ? `left alone: ${why}` : action === "keep" ? "kept" : dryRun ? "would be removed" : "removed",
    String(step ?? "-"),
  ]);
  const [kept, removed, left] = [names("keep").length, names("remove").length, names("leave").length];
  const sum = `${kept} kept, ${removed} ${dryRun ? "would be removed" : "removed"}${left > 0 ? `, ${left} left alone` : ""}`;
  return { text: `${[...table([["name", "what", "step"], ...rows], 2), sum].join("\n")}\n` };
}
