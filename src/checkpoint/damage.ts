import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isRecord, parseJson } from "../core/json.js";
import { errnoOf } from "./files.js";
import { DONE, META, STATE } from "./layout.js";

/**
 * What is wrong with the checkpoint at `dir` by its own account, or undefined: no mark, a damaged `onestep.json` or `meta`, elements
 * whose hash is not the one in `meta`. Reads all of it; knows nothing of the program's variables.
 */
export async function damageOf(dir: string): Promise<string | undefined> {
  try {
    if (!(await isFinished(dir))) return `it has no '${DONE}': its save never finished, or a tool dropped the empty folder`;
    const state = await readFile(join(dir, STATE), "utf8").catch(absent);
    if (state !== undefined && !isRecord(parseJson(state))) return `its '${STATE}' is damaged`;
    for (const entry of await readdir(dir, { withFileTypes: true })) {
      if (entry.name === DONE || entry.name === STATE) continue;
      const problem = await damageOfVariable(dir, entry.name);
      if (problem !== undefined) return problem;
    }
    return undefined;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return `it cannot be read: ${(error as Error).message}`;
  }
}

/** Whether the mark of a finished save is there: a folder, or OneFlow's file. */
export async function isFinished(dir: string): Promise<boolean> {
  return (await stat(join(dir, DONE)).catch(absent)) !== undefined;
}

async function damageOfVariable(dir: string, name: string): Promise<string | undefined> {
  const text = await readFile(join(dir, name, META), "utf8").catch(absent);
  // Without our `meta` nothing vouches for the folder, and it may be anything.
  if (text === undefined) return undefined;
  const meta = parseJson(text);
  if (!isRecord(meta) || typeof meta.sha256 !== "string") return `'${name}/${META}' is damaged`;
  const files = (await readdir(join(dir, name))).filter((file) => file !== META);
  if (files.length !== 1) return `'${name}' has ${files.length} files beside '${META}', expected the elements`;
  const hash = createHash("sha256");
  for await (const piece of createReadStream(join(dir, name, files[0]!), { highWaterMark: 1 << 20 }))
    hash.update(piece as Uint8Array);
  return hash.digest("hex") === meta.sha256
    ? undefined
    : `'${name}/${files[0]}' does not have the sha256 in '${name}/${META}'`;
}

/** Undefined where nothing is; any other error is thrown on. */
export function absent(error: unknown): undefined {
  const code = errnoOf(error);
  if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
}
