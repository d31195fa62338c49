// Loads what write.ts exported with plain tfjs-node, below Node 23: tsx test/interop/check_saved_model.ts FOLDER
import { readdirSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { openTfjsNode } from "../../bench/peers/tfjs-node.js";

interface Tensor {
  readonly shape: readonly number[];
  readonly dtype: string;
  dataSync(): ArrayLike<number | bigint>;
}
interface Model {
  predict(inputs: Readonly<Record<string, Tensor>>): Readonly<Record<string, Tensor>>;
}
/** The part of tfjs-node that this program calls; its packages are installed for it and the benchmark only. */
interface TfjsNode {
  env(): { set(flag: string, value: boolean): void };
  tensor(data: ArrayLike<number>, shape: readonly number[], dtype: string): Tensor;
  readonly node: { loadSavedModel(path: string): Promise<Model> };
}

const folder = process.argv[2]!;
const tf = openTfjsNode() as TfjsNode;
tf.env().set("PROD", true); // silences its advertisement
let [passed, failed] = [0, 0];
const check = (label: string, fine: boolean): void => {
  if (fine) passed++;
  else failed++;
  console.log(`${fine ? "ok  " : "FAIL"} ${label}`);
};

for (const file of readdirSync(folder).filter((name) => name.endsWith(".saved_model"))) {
  const arrays = (part: string) =>
    flow.formats.read(join(folder, file.replace(".saved_model", `.${part}.safetensors`)));
  const model = await tf.node.loadSavedModel(join(folder, file));
  // tfjs-node has no tensors of int64; it takes int32 of at least 0 for one, and gives a BigInt64Array.
  const tensorOf = ({ data, shape, dtype }: flow.NdArray): Tensor =>
    tf.tensor(
      dtype === "int64" ? Int32Array.from(data as BigInt64Array, Number) : (data as Int32Array),
      shape,
      dtype === "int64" ? "int32" : dtype,
    );
  const results = model.predict(
    Object.fromEntries([...(await arrays("inputs"))].map(([name, array]) => [name, tensorOf(array)])),
  );
  const outputs = await arrays("outputs");
  check(
    `tfjs-node finds the outputs of ${file}`,
    String(Object.keys(results).sort()) === String([...outputs.keys()].sort()),
  );
  for (const [name, { data, shape, dtype }] of outputs) {
    const got = results[name]!;
    const values = got.dataSync();
    const away = (value: number | bigint, i: number): number =>
      value === values[i] ? 0 : Math.abs(Number(value) - Number(values[i]));
    const worst = Math.max(...Array.from(data as ArrayLike<number | bigint>, away));
    check(
      `tfjs-node gives our ${name} of ${file}: ${dtype}[${shape}], got ${got.dtype}[${got.shape}], off by ${worst}`,
      String(got.shape) === String(shape) && worst <= (dtype === "float32" ? 1e-5 : 0),
    );
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
