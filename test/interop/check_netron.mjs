// Opens what write.ts exported with the viewer's own code, and compares what it would draw with what check.py and check_saved_model.py
// found in the files with Python's packages: node test/interop/check_netron.mjs NETRON FOLDER, NETRON being the folder of its package.
import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";

const [netron, folder] = process.argv.slice(2);
let [passed, failed] = [0, 0];

// Its files are modules for a browser; what says so to Node stands beside a copy of them.
const copy = join(folder, "netron");
cpSync(netron, copy, { recursive: true });
writeFileSync(join(copy, "package.json"), '{"type":"module"}');
const load = (name) => import(pathToFileURL(join(copy, name)));
const { ModelFactoryService } = await load("view.js");
const { Tensor } = await load("base.js");
const { FileStream } = await load("node.js");

/** What its viewer asks of the program around it, here for one model; complaints that it would show go to `complaints`. */
const contextOf = (path, complaints) => {
  const { size, mtimeMs } = statSync(path);
  return {
    identifier: basename(path),
    stream: new FileStream(path, 0, size, mtimeMs),
    require: (id) => load(`${id}.js`),
    asset: async (file) => readFileSync(join(copy, file), "utf8"),
    fetch: async (file) => {
      throw new Error(`there is no '${file}'`);
    },
    error: (error) => complaints.push(error.message),
  };
};

const arrays = {
  bool: Uint8Array,
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
};
const typeOf = ({ dataType, shape }) => [dataType === "boolean" ? "bool" : dataType, shape.dimensions.map(Number)];
const constantOf = (tensor) => {
  const [dtype, shape] = typeOf(tensor.type);
  const values = [new Tensor(tensor).value].flat(Number.POSITIVE_INFINITY);
  return [dtype, shape, createHash("sha256").update(arrays[dtype].from(values)).digest("hex")];
};
const valuesOf = (parts) => parts.flatMap(({ value }) => value);
const sorted = (entries) => Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)));

/** What it draws of a graph: nodes with the operators that it knows, what goes into them, the ends, the weights with their values. */
const drawn = (model) => {
  const [graph] = model.modules;
  const [ends = graph] = graph.signatures ?? [];
  const nodes = {};
  const constants = {};
  for (const { name, type, inputs, attributes } of graph.nodes) {
    if (nodes[name] !== undefined) throw new Error(`it has two nodes '${name}'`);
    const held = attributes.find(({ name }) => name === "value");
    // A weight for one operator is drawn in its box, one for several as a box of its own.
    if (type.name === "Const") constants[name] = constantOf(held.value);
    else nodes[name] = [type.name, valuesOf(inputs).map((value) => value.name)];
    for (const { name, initializer } of valuesOf(inputs)) if (initializer) constants[name] = constantOf(initializer);
  }
  const unknown = graph.nodes.filter(({ type }) => type.inputs === undefined && type.outputs === undefined);
  if (unknown.length > 0) throw new Error(`it does not know ${unknown.map(({ type }) => type.name)}`);
  const named = (list) =>
    sorted(Object.fromEntries(list.map(({ name, value }) => [name, [value[0].name, ...typeOf(value[0].type)]])));
  return {
    nodes: sorted(nodes),
    inputs: named(ends.inputs),
    outputs: named(ends.outputs),
    constants: sorted(constants),
  };
};

for (const file of readdirSync(folder).filter((name) => /\.(onnx|saved_model)$/.test(name))) {
  const expected = join(folder, `${file}.json`);
  if (!existsSync(expected)) throw new Error(`no ${expected}: run check.py and check_saved_model.py first`);
  const path = file.endsWith(".onnx") ? join(folder, file) : join(folder, file, "saved_model.pb");
  const complaints = [];
  try {
    const service = new ModelFactoryService({ require: (id) => load(`${id}.js`) });
    const model = await service.open(contextOf(path, complaints));
    const got = drawn(model);
    const wanted = JSON.parse(readFileSync(expected, "utf8"));
    for (const [part, found] of Object.entries(got))
      if (!isDeepStrictEqual(found, sorted(wanted[part])))
        complaints.push(`${part}: ${JSON.stringify(found)}, expected ${JSON.stringify(wanted[part])}`);
    const counts = Object.entries(got).map(([part, entries]) => `${Object.keys(entries).length} ${part}`);
    console.log(
      `${complaints.length === 0 ? "ok  " : "FAIL"} Netron opens ${file} (${model.format}): ${counts.join(", ")}`,
    );
  } catch (error) {
    complaints.push(String(error.stack));
  }
  if (complaints.length === 0) passed++;
  else failed++;
  for (const complaint of complaints) console.log(`FAIL ${file}: ${complaint}`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
