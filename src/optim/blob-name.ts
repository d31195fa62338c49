import { FlowError, nearest, textOfValue } from "../core/errors.js";
import type { Blob } from "../graph/blob.js";
import { currentBuilder } from "../graph/trace.js";

/** E_ARGUMENT unless a value can be the logical name of a blob. */
export function requireBlobName(where: string, what: string, value: unknown): void {
  if (typeof value !== "string" || value === "")
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: ${what} is ${value === "" ? "empty" : textOfValue(value)}, expected the logical name of a blob, such as blob.logicalBlobName gives`,
    );
}

/** The blob of the job being traced that has a logical name, such as "rate/out". */
export function blobNamed(where: string, lbn: string): Blob {
  const { nodes, job } = currentBuilder(where);
  const named = new Map(
    nodes.flatMap(({ name, outputs }) =>
      name === undefined ? [] : outputs.map((blob) => [blob.logicalBlobName, blob] as const),
    ),
  );
  const blob = named.get(lbn);
  if (blob !== undefined) return blob;
  const near = nearest(lbn, named.keys());
  throw new FlowError(
    "E_ARGUMENT",
    `${where}: job '${job}' has no blob '${lbn}' here; ${near === undefined ? "pass blob.logicalBlobName of a blob made before minimize" : `did you mean '${near}'?`}`,
  );
}
