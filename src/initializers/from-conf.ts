import type { DType } from "../core/dtype.js";
import { FlowError, nearest, textOfValue } from "../core/errors.js";
import {
  constantInitializer,
  type Initializer,
  randomNormalInitializer,
  randomUniformInitializer,
  truncatedNormalInitializer,
} from "./initializer.js";
import { glorotNormalInitializer, varianceScalingInitializer } from "./variance-scaling.js";

/** An initializer as the original's configuration writes it: `{ constant_conf: { value: 10 } }`; camelCase is taken too. */
export type InitializerConf = Readonly<Record<string, Readonly<Record<string, number | string>>>>;

type Fields = Readonly<Record<string, number | string>>;
const number = (fields: Fields, key: string, fallback: number): number => Number(fields[key] ?? fallback);

const makers: Readonly<Record<string, (fields: Fields) => Initializer>> = {
  constantConf: (f) => constantInitializer(number(f, "value", 0)),
  constantIntConf: (f) => constantInitializer(number(f, "value", 0), integer),
  randomUniformConf: (f) => randomUniformInitializer(number(f, "min", 0), number(f, "max", 1)),
  randomUniformIntConf: (f) => randomUniformInitializer(number(f, "min", 0), number(f, "max", 1), integer),
  randomNormalConf: (f) => randomNormalInitializer(number(f, "mean", 0), number(f, "std", 1)),
  truncatedNormalConf: (f) => truncatedNormalInitializer(number(f, "mean", 0), number(f, "std", 1)),
  xavierConf: () => glorotNormalInitializer(),
  varianceScalingConf: (f) =>
    varianceScalingInitializer({
      scale: number(f, "scale", 1),
      mode: snake(f.varianceNorm ?? "fan_in"),
      distribution: snake(f.distribution ?? "truncated_normal"),
      dataFormat: String(f.dataFormat ?? "") === "channels_last" ? "NHWC" : f.dataFormat === undefined ? "" : "NCHW",
    } as Parameters<typeof varianceScalingInitializer>[0]),
};
const integer = { dtype: "int32" as DType };
/** `kFanIn` as `fan_in`. */
const snake = (name: number | string): string =>
  String(name)
    .replace(/^k(?=[A-Z])/, "")
    .replace(/(?<=[a-z])(?=[A-Z])/g, "_")
    .toLowerCase();
/** `constant_conf` as `constantConf`: configurations are taken in both spellings. */
export const camel = (name: string): string => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** The initializer that a configuration names; an initializer itself is returned as it is. */
export function initializerFromConf(where: string, conf: Initializer | InitializerConf): Initializer {
  if (typeof conf !== "object" || conf === null)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: got ${textOfValue(conf)}, expected an initializer or { constant_conf: { value: 10 } }`,
    );
  if (typeof conf.kind === "string") return conf as Initializer;
  const entries = Object.entries(conf as InitializerConf);
  const [name, fields] = entries[0] ?? ["", {}];
  const make = entries.length === 1 ? makers[camel(name)] : undefined;
  if (make === undefined) {
    const near = nearest(camel(name), Object.keys(makers));
    throw new FlowError(
      "E_OPTION",
      `${where}: expected one initializer, got { ${entries.map(([key]) => key).join(", ")} }; ${near === undefined ? `known are ${Object.keys(makers).join(", ")}` : `did you mean '${near}'?`}`,
    );
  }
  return make(Object.fromEntries(Object.entries(fields).map(([key, value]) => [camel(key), value])));
}
