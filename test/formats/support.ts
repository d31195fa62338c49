import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import * as flow from "onestep";
import { afterEach } from "vitest";
import { byteSize, type DType } from "#src/core/dtype.js";
import { bytesOf, fromBytes } from "#src/core/tensor.js";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder, removed after the test. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "onestep-formats-"));
  folders.push(folder);
  return folder;
}

/** The little-endian bytes of an array, in hex: what must survive, NaN payloads included. */
export const hex = (array: flow.NdArray): string => Buffer.from(bytesOf(array)).toString("hex");

/** dtype, shape and bytes of each array, by name. */
export const contents = (arrays: ReadonlyMap<string, flow.NdArray>): Record<string, string> =>
  Object.fromEntries([...arrays].map(([name, array]) => [name, `${array.dtype}[${array.shape}] ${hex(array)}`]));

export const storable = ["float32", "float64", "float16", "int8", "uint8", "int32", "int64"] as const;

/** An array of any dtype, shape and bytes. float16 comes without NaN, whose payload a Float32Array does not keep. */
export const anyArray = (dtypes: readonly DType[] = [...storable, "bool"]): fc.Arbitrary<flow.NdArray> =>
  fc
    .record({
      dtype: fc.constantFrom(...dtypes),
      shape: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 4 }),
    })
    .chain(({ dtype, shape }) => {
      const size = shape.reduce((product, d) => product * d, 1);
      const length = size * byteSize(dtype);
      return fc.uint8Array({ minLength: length, maxLength: length }).map((raw) => {
        const bytes = raw.slice();
        if (dtype === "bool") for (let i = 0; i < length; i++) bytes[i]! &= 1;
        if (dtype === "float16") for (let i = 1; i < length; i += 2) bytes[i]! &= 0xbf;
        const { data } = fromBytes(dtype, shape, bytes);
        return new flow.NdArray(data, shape, dtype);
      });
    });

/** The FlowError that `task` rejects with. */
export async function failure(task: () => Promise<unknown>): Promise<flow.FlowError> {
  try {
    await task();
  } catch (error) {
    if (error instanceof flow.FlowError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
