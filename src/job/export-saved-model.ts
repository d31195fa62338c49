import { join } from "node:path";
import { syncDirectory, writeSynced } from "../checkpoint/files.js";
import { placeDirectory } from "../checkpoint/write.js";
import { checkOptions, FlowError, textOfValue } from "../core/errors.js";
import { type ExportOptions, exportJob } from "./exported-job.js";
import type { Job } from "./global-function.js";

const known = ["modelDir", "inputs", "outputs"] as const;
const format = {
  name: "an exported SavedModel",
  engine: async () => ({
    name: "tensorflow export",
    lowers: (await import("../engines/tensorflow/lower/table.js")).lowers,
  }),
};

/**
 * Writes a predict job with its weights as a TensorFlow SavedModel: tag `serve`, signature `serving_default`, read by TensorFlow
 * from 2.9 on and tfjs-node. `dir` must be absent or an empty directory in an existing parent; it appears all at once. TensorFlow is not
 * needed to write it. Arguments that no result depends on are left out; labels and indices are not checked in the model.
 * @example
 * ```ts
 * const double = flow.globalFunction({ name: "double", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) => x.mul(2));
 * await flow.savedModel.export(double, "./double", { inputs: ["x"], outputs: ["y"] });
 * await flow.savedModel.export(double, "./double"); // throws E_CKPT_EXISTS
 * ```
 */
export function exportSavedModel<F extends readonly unknown[], T>(
  job: Job<F, T>,
  dir: string,
  options: ExportOptions = {},
): Promise<void> {
  const check = (where: string): ExportOptions => {
    if (typeof dir !== "string")
      throw new FlowError(
        "E_ARGUMENT",
        `${where}: the path is ${textOfValue(dir)}, expected the path of a new directory`,
      );
    checkOptions(where, options, known);
    return options;
  };
  const about = { exporter: exportSavedModel, called: "savedModel.export", format };
  return exportJob(about, job, check, async (where, { native, ...plan }) => {
    const { exportModel } = await import("../engines/tensorflow/export.js");
    const bytes = await exportModel(where, native, plan);
    await placeDirectory(where, dir, async (aside) => {
      await writeSynced(join(aside, "saved_model.pb"), [bytes]);
      await syncDirectory(aside);
    });
  });
}
