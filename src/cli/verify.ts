import { stat } from "node:fs/promises";
import { DONE } from "../checkpoint/layout.js";
import { acceptCheckpoint, type VerifyReport, verifyCheckpoint } from "../checkpoint/verify.js";
import { FlowError } from "../core/errors.js";
import { openModel } from "../formats/open.js";
import { type Answer, jsonText } from "./answer.js";
import { grouped, wrap } from "./layout.js";
import { mustExist } from "./paths.js";

export interface VerifyOptions {
  /** Takes elements that were edited on purpose: writes their hash into `meta`. */
  readonly accept?: boolean;
  readonly json?: boolean;
}

/** Reads every byte of a model and says whether it is what was saved; the answer is no for damage and for unfinished saves. */
export async function verify(path: string, options: VerifyOptions): Promise<Answer> {
  const where = `verify('${path}')`;
  mustExist(where, path);
  const isDirectory = (await stat(path)).isDirectory();
  if (!isDirectory && options.accept === true)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: --accept is for checkpoint directories, other formats hold no hash of ours`,
    );
  if (!isDirectory) return verifyFile(where, path, options);
  const accepted = options.accept === true ? await acceptCheckpoint(path) : [];
  const report = await verifyCheckpoint(path);
  const code = report.finished ? 0 : 1;
  if (options.json === true) {
    const variables = report.variables.map(({ name, bytes, sha256, meta, problem }) => ({
      name,
      dtype: meta?.dtype,
      shape: meta?.shape,
      bytes,
      sha256,
      problem: problem?.message,
    }));
    const problems = report.problems.map(({ code, message }) => ({ code, message }));
    return {
      text: jsonText({ path, finished: report.finished, marked: report.marked, accepted, problems, variables }),
      code,
    };
  }
  const lines = [
    ...accepted.map((name) => `accepted ${name}`),
    ...report.problems.map(({ message }) => message),
    ...verdict(report),
  ];
  return { text: `${lines.map((line) => wrap(line)).join("\n")}\n`, code };
}

function verdict({ variables, problems, marked, finished }: VerifyReport): readonly string[] {
  const bytes = grouped(variables.reduce((sum, variable) => sum + variable.bytes, 0));
  const count = `${variables.length} variable${variables.length === 1 ? "" : "s"}, ${bytes} bytes`;
  if (problems.length > 0)
    return [`damaged: ${problems.length} problem${problems.length === 1 ? "" : "s"} in ${count}`];
  const bare = variables.filter(({ meta }) => meta === undefined).length;
  if (!finished) return [`not finished: no ${DONE}, and ${bare} of ${count} have no meta`];
  const missing = bare === 0 ? "every hash matches" : `${bare} without meta could not be checked`;
  return [`complete${marked ? "" : `, though without ${DONE}`}: ${count}, ${missing}`];
}

async function verifyFile(where: string, path: string, { json }: VerifyOptions): Promise<Answer> {
  let problem: FlowError | undefined;
  let [count, bytes] = [0, 0];
  try {
    const model = await openModel(where, path);
    try {
      for (const variable of model.variables) {
        for await (const piece of variable.pieces()) bytes += piece.length;
        count++;
      }
    } finally {
      await model.close();
    }
  } catch (error) {
    if (!(error instanceof FlowError) || error.code !== "E_FORMAT") throw error;
    problem = error;
  }
  const code = problem === undefined ? 0 : 1;
  if (json === true) {
    const problems = problem === undefined ? [] : [{ code: problem.code, message: problem.message }];
    return { text: jsonText({ path, finished: problem === undefined, problems, bytes }), code };
  }
  const line = problem === undefined ? `complete: ${count} variables, ${grouped(bytes)} bytes` : problem.message;
  return { text: `${wrap(line)}\n`, code };
}
