import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { DONE, META, STATE } from "../checkpoint/layout.js";
import { FlowError } from "../core/errors.js";
import { isRecord, parseJson } from "../core/json.js";

/** A table of a checkpoint's variables: type from `meta`, else bytes alone; then its state and whether its save finished. */
export async function inspect(directory: string): Promise<string> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((cause: unknown) => {
    throw new FlowError(
      "E_CKPT_DIR",
      `inspect: '${directory}' cannot be read as a directory; give what checkPoint.save wrote`,
      { cause },
    );
  });
  const rows: { name: string; type: string; bytes: number }[] = [];
  for (const { name } of entries.filter((entry) => entry.isDirectory() && entry.name !== DONE)) {
    const files = await readdir(join(directory, name));
    const data = files.find((file) => file !== META);
    if (data === undefined) continue;
    const meta = files.includes(META) ? parseJson(await readFile(join(directory, name, META), "utf8")) : undefined;
    const type = isRecord(meta) && Array.isArray(meta.shape) ? `${String(meta.dtype)}[${meta.shape.join(",")}]` : "?";
    rows.push({ name, type, bytes: (await stat(join(directory, name, data))).size });
  }
  if (rows.length === 0)
    throw new FlowError("E_CKPT_DIR", `inspect: '${directory}' holds no variable; give what checkPoint.save wrote`);
  rows.sort((a, b) => (a.name < b.name ? -1 : 1));
  const wide = (key: "name" | "type"): number => Math.max(...rows.map((row) => row[key].length));
  const lines = rows.map(
    ({ name, type, bytes }) =>
      `${name.padEnd(wide("name"))}  ${type.padEnd(wide("type"))}  ${bytes.toLocaleString("en-US").padStart(13)} bytes`,
  );
  const total = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  const state = parseJson(await readFile(join(directory, STATE), "utf8").catch(() => ""));
  const calls =
    isRecord(state) && isRecord(state.calls)
      ? Object.entries(state.calls).map(([job, count]) => `${job} ${String(count)}`)
      : [];
  return [
    ...lines,
    `${rows.length} variables, ${total.toLocaleString("en-US")} bytes`,
    ...(isRecord(state) ? [`seed ${String(state.seed)}${calls.length > 0 ? `; calls: ${calls.join(", ")}` : ""}`] : []),
    entries.some((entry) => entry.name === DONE)
      ? "complete"
      : `no ${DONE}: the save did not finish, or a tool dropped the empty folder`,
    "",
  ].join("\n");
}
