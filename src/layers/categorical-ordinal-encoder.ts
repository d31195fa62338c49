import { checkOptions, FlowError, textOfValue } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { namespace, textOf } from "../graph/trace.js";
import { zerosInitializer } from "../initializers/initializer.js";
import { requireBlob } from "../ops/define.js";
import { categoricalOrdinalEncode } from "../ops/ordinal.js";
import { layerVariable } from "./variable.js";

/** Options of `categoricalOrdinalEncoder`. */
export interface CategoricalOrdinalEncoderOptions {
  /** True, as documented: the input holds hashes already. */
  readonly hashPrecomputed?: boolean;
  /** Default "CategoricalOrdinalEncoder"; two layers of one name in a job are an error. */
  readonly name?: string;
}

/**
 * A number for each hash, counted from 1 in the order in which the layer has met them, in jobs of any type; 0 for the hash 0. Variables
 * `<name>-Table`, `[2 · capacity]`, and `<name>-Size`, `[1]`, of the input's dtype, int32 or int64, hold what was met. More hashes
 * than the capacity fail the step with E_INDEX.
 * @flow layers.categorical_ordinal_encoder
 * @example
 * ```ts job
 * // hashes: int32 = [70, 50, 70, 0]
 * flow.layers.categoricalOrdinalEncoder(hashes, 100); // -> [1, 2, 1, 0]
 * ```
 */
export function categoricalOrdinalEncoder(
  inputTensor: Blob,
  capacity: number,
  options: CategoricalOrdinalEncoderOptions = {},
): Blob {
  const where = "layers.categoricalOrdinalEncoder";
  const known = ["hashPrecomputed", "name"];
  const { hashPrecomputed = true, name = "CategoricalOrdinalEncoder" } = checkOptions(where, options, known);
  requireBlob(where, "inputTensor", inputTensor);
  if (!Number.isInteger(capacity) || capacity < 1)
    throw new FlowError("E_ARGUMENT", `${where}: capacity is ${textOfValue(capacity)}, expected a positive integer`);
  const { dtype } = inputTensor;
  if (dtype !== "int32" && dtype !== "int64")
    throw new FlowError(
      "E_DTYPE",
      `${where}: inputTensor is ${textOf(inputTensor)}, expected int32 or int64; flow.cast it`,
    );
  return namespace(name, () => {
    const variable = (part: string, size: number): Blob =>
      layerVariable(part, {
        shape: [size],
        dtype,
        initializer: zerosInitializer({ dtype }),
        regularizer: undefined,
        trainable: false,
      });
    const [table, size] = [variable("Table", 2 * capacity), variable("Size", 1)];
    return categoricalOrdinalEncode(table, size, inputTensor, { hashPrecomputed, name: "Encode" });
  });
}
