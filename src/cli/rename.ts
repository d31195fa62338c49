import { FlowError } from "../core/errors.js";
import { convert } from "../formats/convert.js";
import type { Answer } from "./answer.js";
import { answerOf } from "./convert.js";
import { mustExist } from "./paths.js";

export interface RenameOptions {
  /** Where the renamed model goes. The source stays: folders cannot be renamed all at once, and a crash in between would leave a mixture. */
  readonly out?: string;
  readonly preset?: string;
}

/** Writes a copy of a model in which variables have other names: `FROM TO` pairs, where `*` stands for any part, or a preset. */
export async function rename(path: string, pairs: readonly string[], options: RenameOptions): Promise<Answer> {
  const where = `rename('${path}')`;
  const { out } = options;
  if (out === undefined) throw new FlowError("E_ARGUMENT", `${where}: say where the copy goes, with --out PATH`);
  mustExist(where, path);
  if (pairs.length % 2 === 1 || (pairs.length === 0 && options.preset === undefined))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: got ${pairs.length} name${pairs.length === 1 ? "" : "s"}, expected pairs FROM TO, or --preset`,
    );
  const rules = Array.from({ length: pairs.length / 2 }, (_, i) => [pairs[2 * i]!, pairs[2 * i + 1]!] as const);
  const report = await convert(
    path,
    out,
    {
      ...(rules.length === 0 ? {} : { rename: rules }),
      ...(options.preset === undefined ? {} : { preset: options.preset }),
    },
    where,
  );
  return answerOf(out, report);
}
