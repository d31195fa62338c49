import { FlowError } from "../core/errors.js";
import { sameShape, typeText } from "../core/shape.js";
import { compareVariables, type Difference } from "../formats/compare.js";
import type { ModelVariable } from "../formats/model.js";
import { openModel } from "../formats/open.js";
import { type Answer, jsonText } from "./answer.js";
import { grouped, short, table, wrap } from "./layout.js";
import { mustExist } from "./paths.js";
import { select } from "./select.js";

export interface DiffOptions {
  readonly json?: boolean;
  /** Elements this far apart are equal; default 0. */
  readonly atol?: number;
  /** So are elements apart by this share of the second; default 0. */
  readonly rtol?: number;
  /** Compares only variables that one of these fits. */
  readonly only?: readonly string[];
}

type Pair = readonly [ModelVariable, ModelVariable];

/** Compares two models variable by variable; the answer is no where they differ. */
export async function diff(left: string, right: string, options: DiffOptions): Promise<Answer> {
  const where = `diff('${left}', '${right}')`;
  for (const path of [left, right]) mustExist(where, path);
  const a = await openModel(where, left);
  const b = await openModel(where, right).catch(async (error: unknown) => {
    await a.close();
    throw error;
  });
  try {
    const all = new Map([...a.variables, ...b.variables].map((variable) => [variable.name, variable]));
    const chosen = new Set(select(where, [...all.values()], options.only ?? []).map(({ name }) => name));
    const [inA, inB] = [a, b].map(
      ({ variables }) => new Map(variables.filter(({ name }) => chosen.has(name)).map((v) => [v.name, v])),
    ) as [Map<string, ModelVariable>, Map<string, ModelVariable>];
    const onlyA = [...inA.keys()].filter((name) => !inB.has(name));
    const onlyB = [...inB.keys()].filter((name) => !inA.has(name));
    const pairs = [...inA.values()].flatMap((variable): Pair[] =>
      inB.has(variable.name) ? [[variable, inB.get(variable.name)!]] : [],
    );
    const types = pairs.filter((pair) => !sameType(where, pair));
    const tolerance = { absolute: options.atol ?? 0, relative: options.rtol ?? 0 };
    const compared: { readonly name: string; readonly type: string; readonly difference: Difference }[] = [];
    for (const pair of pairs.filter((pair) => !types.includes(pair)))
      compared.push({
        name: pair[0].name,
        type: typeOf(pair[0]),
        difference: await compareVariables(pair[0], pair[1], tolerance),
      });
    const changed = compared.filter(({ difference }) => difference.different > 0);
    const code = onlyA.length + onlyB.length + types.length + changed.length > 0 ? 1 : 0;
    if (options.json === true) {
      const json = {
        equal: code === 0,
        onlyInFirst: onlyA,
        onlyInSecond: onlyB,
        types: types.map(([x, y]) => ({ name: x.name, first: typeOf(x), second: typeOf(y) })),
        variables: compared.map(({ name, type, difference }) => ({ name, type, ...difference })),
      };
      return { text: jsonText(json), code };
    }
    const lines = [
      ...(onlyA.length > 0 ? [wrap(`only in ${left}: ${onlyA.join(", ")}`)] : []),
      ...(onlyB.length > 0 ? [wrap(`only in ${right}: ${onlyB.join(", ")}`)] : []),
      ...types.map(([x, y]) => wrap(`${x.name} is ${typeOf(x)} in the first, ${typeOf(y)} in the second`)),
      ...(changed.length > 0
        ? table(
            [
              ["name", "type", "different", "max abs", "max rel"],
              ...changed.map(({ name, type, difference: d }) => [
                name,
                type,
                `${grouped(d.different)} of ${grouped(d.elements)}`,
                short(d.maxAbsolute),
                short(d.maxRelative),
              ]),
            ],
            2,
          )
        : []),
      `${compared.length - changed.length} of ${all.size === chosen.size ? all.size : chosen.size} variables equal`,
    ];
    return { text: `${lines.join("\n")}\n`, code };
  } finally {
    await a.close();
    await b.close();
  }
}

const typeOf = ({ type, bytes }: ModelVariable): string =>
  type === undefined ? `${bytes} bytes` : typeText(type.dtype, type.shape);

/** Whether the elements can be compared one by one. Where just one side has no type, its bytes are read as the other's. */
function sameType(where: string, [a, b]: Pair): boolean {
  if (a.type === undefined || b.type === undefined) {
    throw new FlowError(
      "E_CKPT_META",
      `${where}: '${a.name}' has no 'meta' that tells its dtype and shape; load the checkpoint in a program and save it again`,
    );
  }
  return a.type.dtype === b.type.dtype && sameShape(a.type.shape, b.type.shape);
}
