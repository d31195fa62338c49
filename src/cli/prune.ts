import { randomBytes } from "node:crypto";
import { readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import fsExtra from "fs-extra";
import { absent, errnoOf, syncDirectory } from "../checkpoint/files.js";
import { DONE } from "../checkpoint/layout.js";
import { type Ordered, ordered } from "../checkpoint/order.js";
import { verifyCheckpoint } from "../checkpoint/verify.js";
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
  readonly checkpoint: Ordered;
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
    const checkpoints = await ordered(root);
    if (checkpoints.length === 0)
      throw new FlowError("E_CKPT_DIR", `${where}: '${root}' holds no checkpoint; give the directory that holds them`);
    const decisions = await decide(root, checkpoints, keepLast);
    if (options.dryRun !== true) {
      for (const { checkpoint, action } of decisions) if (action === "remove") await remove(root, checkpoint.name);
      await sweep(root);
    }
    return answer(root, decisions, options);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw new FlowError("E_CKPT_IO", `${where}: ${(error as Error).message}; what was not removed is whole`, {
      cause: error,
    });
  }
}

async function decide(root: string, checkpoints: readonly Ordered[], keepLast: number): Promise<readonly Decision[]> {
  const decisions: Decision[] = [];
  let kept = 0;
  for (const checkpoint of [...checkpoints].reverse()) {
    let why = !checkpoint.marked ? "not finished" : checkpoint.step === undefined ? "no recorded step" : undefined;
    // Older ones than the last that stays need not be whole to go.
    if (why === undefined && kept < keepLast) why = await damageOf(join(root, checkpoint.name));
    if (why !== undefined) decisions.push({ checkpoint, action: "leave", why });
    else decisions.push({ checkpoint, action: kept++ < keepLast ? "keep" : "remove", why });
  }
  return decisions.reverse();
}

async function damageOf(dir: string): Promise<string | undefined> {
  try {
    return (await verifyCheckpoint(dir)).finished ? undefined : "damaged";
  } catch (error) {
    if (error instanceof FlowError) return "damaged";
    throw error;
  }
}

// A crash in the middle leaves a hidden directory that nothing takes for a checkpoint; the next prune removes it.
async function remove(root: string, name: string): Promise<void> {
  const aside = join(root, `.${name}.${randomBytes(6).toString("hex")}.deleting`);
  await rename(join(root, name), aside);
  await syncDirectory(root);
  await fsExtra.remove(aside);
}

async function sweep(root: string): Promise<void> {
  for (const name of await readdir(root))
    if (/^\..+\.[0-9a-f]{12}\.deleting$/s.test(name)) await fsExtra.remove(join(root, name));
}

function answer(root: string, decisions: readonly Decision[], { dryRun = false, json = false }: PruneOptions): Answer {
  const names = (action: Decision["action"]): readonly string[] =>
    decisions.filter((decision) => decision.action === action).map(({ checkpoint }) => checkpoint.name);
  if (json) {
    const checkpoints = decisions.map(({ checkpoint: { name, step, run }, action, why }) => ({
      name,
      step,
      run,
      action,
      why,
    }));
    return { text: jsonText({ root, dryRun, checkpoints }) };
  }
  const rows = decisions.map(({ checkpoint, action, why }) => [
    checkpoint.name,
    action === "leave" ? `left alone: ${why}` : action === "keep" ? "kept" : dryRun ? "would be removed" : "removed",
    String(checkpoint.step ?? "-"),
  ]);
  const [kept, removed, left] = [names("keep").length, names("remove").length, names("leave").length];
  const sum = `${kept} kept, ${removed} ${dryRun ? "would be removed" : "removed"}${left > 0 ? `, ${left} left alone` : ""}`;
  return { text: `${[...table([["name", "what", "step"], ...rows], 2), sum].join("\n")}\n` };
}
