import { readFileSync } from "node:fs";
import { checkOptions, FlowError, plainText, textOfValue } from "../core/errors.js";
import { exportable, exportOpset } from "../engines/onnx/versions.js";
import { writeFileAside } from "../formats/file.js";
import { type ExportOptions, exportJob } from "./exported-job.js";
import type { Job } from "./global-function.js";

/** Options of `onnx.export`. */
export interface OnnxExportOptions extends ExportOptions {
  /** Version of the ONNX operators, 17 to 21; default 17. */
  readonly opset?: number;
}

const known = ["modelDir", "inputs", "outputs", "opset"] as const;

/**
 * Writes a predict job with its weights as an ONNX model of standard operators, replacing `path` at once. Arguments that no
 * result depends on are left out; labels and indices are not checked in the model. (v0.2 took the checkpoint as second argument.)
 * @flow onnx.export
 */
export function exportOnnx<F extends readonly unknown[], T>(
  job: Job<F, T>,
  path: string,
  options: OnnxExportOptions = {},
): Promise<void> {
  const check = (where: string): OnnxExportOptions => {
    if (typeof path !== "string" || path === "" || path.includes("\0"))
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: the path is ${path === "" ? "empty" : textOfValue(path)}, expected the path of a file`,
      );
    checkOptions(where, options, known);
    const { opset = exportOpset } = options;
    if (!Object.hasOwn(exportable, opset))
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: opset is ${plainText(opset)}, expected one of ${Object.keys(exportable).join(", ")}`,
      );
    return options;
  };
  const format = { name: "an ONNX model", engine: async () => (await exporter()).portable };
  return exportJob({ exporter: exportOnnx, called: "onnx.export", format }, job, check, async (where, exported) => {
    const { native, inputs, outputs, values } = exported;
    const { opset = exportOpset } = options;
    const { exportModel } = await exporter();
    const bytes = await exportModel(native, { inputs, outputs, values, opset, producerVersion: version() });
    await writeFileAside(where, path, [bytes], { overwrite: true });
  });
}

const exporter = (): Promise<typeof import("../engines/onnx/export.js")> => import("../engines/onnx/export.js");

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return version;
}
