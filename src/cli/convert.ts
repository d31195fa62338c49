import { FlowError } from "../core/errors.js";
import { type ConvertOptions, type ConvertReport, convert as convertModel } from "../formats/convert.js";
import type { Answer } from "./answer.js";
import { grouped, wrap } from "./layout.js";
import { mustExist } from "./paths.js";

export interface ConvertFlags {
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  /** `FROM=TO` each. */
  readonly rename?: readonly string[];
  readonly preset?: string;
  readonly force?: boolean;
}

/** Copies a model into another format, chosen by extension. */
export async function convert(from: string, to: string, flags: ConvertFlags): Promise<Answer> {
  const where = `convert('${from}', '${to}')`;
  mustExist(where, from);
  const rules = (flags.rename ?? []).map((rule) => {
    const [pattern, target, ...rest] = rule.split("=");
    if (pattern === "" || target === undefined || target === "" || rest.length > 0)
      throw new FlowError("E_ARGUMENT", `${where}: --rename '${rule}' is no FROM=TO, such as 'dense1-*=hidden-*'`);
    return [pattern!, target] as const;
  });
  const options: ConvertOptions = {
    ...(flags.include === undefined ? {} : { include: flags.include }),
    ...(flags.exclude === undefined ? {} : { exclude: flags.exclude }),
    ...(rules.length === 0 ? {} : { rename: rules }),
    ...(flags.preset === undefined ? {} : { preset: flags.preset }),
    overwrite: flags.force === true,
  };
  return answerOf(to, await convertModel(from, to, options, where));
}

/** What a command that wrote a model says. */
export function answerOf(to: string, { variables, bytes, lost }: ConvertReport): Answer {
  const renamed = variables.filter((variable) => variable.from !== variable.to);
  const count = `${variables.length} variable${variables.length === 1 ? "" : "s"}, ${grouped(bytes)} bytes`;
  const lines = [
    ...renamed.map((variable) => wrap(`${variable.from} -> ${variable.to}`)),
    wrap(`wrote ${to}: ${count}${renamed.length > 0 ? `, ${renamed.length} renamed` : ""}`),
  ];
  return { text: `${lines.join("\n")}\n`, notes: lost.map((what) => `not kept: ${what}`) };
}
