import { isMarked } from "../checkpoint/contents.js";
import { DONE } from "../checkpoint/layout.js";
import { typeText } from "../core/shape.js";
import { openModel } from "../formats/open.js";
import { type Statistics, statisticsOf } from "../formats/statistics.js";
import { type Answer, jsonText } from "./answer.js";
import { grouped, short, table, wrap } from "./layout.js";
import { mustExist } from "./paths.js";
import { select } from "./select.js";

export interface InspectOptions {
  readonly json?: boolean;
  /** False leaves the elements unread. */
  readonly values?: boolean;
}

/** Lists the variables of a model: type, bytes, what the elements are like; then the run's state and whether the save finished. */
export async function inspect(path: string, patterns: readonly string[], options: InspectOptions): Promise<Answer> {
  const where = `inspect('${path}')`;
  mustExist(where, path);
  const model = await openModel(where, path);
  try {
    const chosen = select(where, model.variables, patterns);
    const rows: { readonly variable: (typeof chosen)[number]; readonly values: Statistics | undefined }[] = [];
    for (const variable of chosen) {
      const known = variable.type !== undefined && options.values !== false;
      rows.push({ variable, values: known ? await statisticsOf(variable) : undefined });
    }
    const marked = model.format === "directory" ? await isMarked(where, path) : undefined;
    // Files are written whole, and their headers were checked against their sizes.
    const finished = marked !== false || model.variables.every(({ type }) => type !== undefined);
    const bytes = rows.reduce((sum, { variable }) => sum + variable.bytes, 0);
    if (options.json === true) {
      const variables = rows.map(({ variable: { name, type, bytes }, values }) => ({
        name,
        dtype: type?.dtype,
        shape: type?.shape,
        bytes,
        ...(values ?? {
          min: undefined,
          max: undefined,
          mean: undefined,
          std: undefined,
          nan: undefined,
          infinite: undefined,
        }),
      }));
      const { seed, calls, extras } = model.state ?? {};
      return {
        text: jsonText({ path, format: model.format, finished, marked, seed, calls, extras, bytes, variables }),
      };
    }
    const shown = options.values !== false;
    const infinite = rows.some(({ values }) => (values?.infinite ?? 0) > 0);
    const header = [
      "name",
      "type",
      "bytes",
      ...(shown ? ["min", "mean", "max", "std", "NaN", ...(infinite ? ["inf"] : [])] : []),
    ];
    const cells = rows.map(({ variable: { name, type, bytes }, values }) => [
      name,
      type === undefined ? "?" : typeText(type.dtype, type.shape),
      grouped(bytes),
      ...(shown
        ? [
            short(values?.min),
            short(values?.mean),
            short(values?.max),
            short(values?.std),
            short(values?.nan),
            ...(infinite ? [short(values?.infinite)] : []),
          ]
        : []),
    ]);
    const calls = Object.entries(model.state?.calls ?? {}).map(([job, count]) => `${job} ${count}`);
    const state =
      model.state === undefined
        ? []
        : [wrap(`seed ${model.state.seed}${calls.length > 0 ? `; calls: ${calls.join(", ")}` : ""}`)];
    const total = `${rows.length} variable${rows.length === 1 ? "" : "s"}, ${grouped(bytes)} bytes`;
    return {
      text: `${[...table([header, ...cells], 2), total, ...state, wrap(verdict(marked, finished))].join("\n")}\n`,
    };
  } finally {
    await model.close();
  }
}

function verdict(marked: boolean | undefined, finished: boolean): string {
  if (marked !== false) return "complete";
  return finished
    ? `complete, though without ${DONE}: every variable has its meta (some tools drop empty folders)`
    : `no ${DONE}: the save did not finish, or a tool dropped the empty folder`;
}
