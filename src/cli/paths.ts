import { readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { FlowError, nearest } from "../core/errors.js";

/** E_CKPT_DIR where nothing is at `path`, with the nearest name beside it. */
export function mustExist(where: string, path: string): void {
  if (path !== "" && !path.includes("\0") && statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  const parent = dirname(path);
  let siblings: readonly string[] = [];
  try {
    siblings = readdirSync(parent);
  } catch {
    // The parent does not exist either: there is nothing to suggest.
  }
  const near = nearest(basename(path), siblings);
  const hint =
    near === undefined
      ? "give a checkpoint directory, a .safetensors or a .npz file"
      : `did you mean '${join(parent, near)}'?`;
  throw new FlowError("E_CKPT_DIR", `${where}: '${path}' does not exist; ${hint}`);
}
