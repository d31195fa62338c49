// Reads what check.py wrote: tsx test/interop/read.ts FOLDER
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { bytesOf, type Tensor } from "#src/core/tensor.js";

const folder = process.argv[2]!;
const expected = JSON.parse(readFileSync(join(folder, "theirs.json"), "utf8")) as Record<
  string,
  { readonly dtype: string; readonly shape: readonly number[]; readonly hex: string }
>;
let [passed, failed] = [0, 0];
const check = (label: string, fine: boolean): void => {
  if (fine) passed++;
  else failed++;
  console.log(`${fine ? "ok  " : "FAIL"} ${label}`);
};
for (const file of ["theirs.safetensors", "theirs.npz", "theirs-deflated.npz", "theirs-fortran.npz"]) {
  const arrays = await flow.formats.read(join(folder, file));
  check(`${file} has ${arrays.size} arrays`, arrays.size === Object.keys(expected).length);
  for (const [name, { dtype, shape, hex }] of Object.entries(expected)) {
    const array = arrays.get(name);
    const found =
      array !== undefined &&
      array.dtype === dtype &&
      String(array.shape) === String(shape) &&
      Buffer.from(bytesOf(array as Tensor)).toString("hex") === hex;
    check(`${file} gives ${name}`, found);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
