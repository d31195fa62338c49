// A program under fault injection: for each line on stdin, `save DIR`, `load DIR` or `init`, it does so and prints one line of JSON: what
// came of it, and the SHA-256 of all variables afterwards. Arguments: the seed, the elements of each of the three variables, and where a
// load makes its small calls: `here`, on the main thread, or on `threads`.
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import * as flow from "../../../dist/index.js";

const elements = Number(process.argv[3] ?? 50);
// The clock decides where (src/checkpoint/small-calls.ts): this one says always the same.
const where = process.argv[4];
if (where !== undefined) performance.now = () => (where === "here" ? -Infinity : Infinity);
flow.config.engine(elements > 50 ? "onnx" : "reference");
flow.config.seed(Number(process.argv[2] ?? 7));
const names = ["dense-bias", "dense-weight", "other"];
const job = flow.globalFunction({ type: "predict", name: "values", returns: flow.tp.Numpy }, [], () =>
  flow.concat(
    names.map((name) =>
      flow.getVariable(name, { shape: [elements], initializer: flow.randomUniformInitializer(-1, 1) }),
    ),
    { axis: 0 },
  ),
);
const checkPoint = new flow.train.CheckPoint();
await checkPoint.init();
const digest = async () => {
  const values = await job();
  return createHash("sha256").update(new Uint8Array(values.data.buffer)).digest("hex");
};
// Everything is loaded and compiled before a tracer comes.
await digest();
console.log(JSON.stringify({ ready: true, digest: await digest() }));
for await (const line of createInterface({ input: process.stdin })) {
  const [what, dir] = line.split(" ");
  let result;
  try {
    if (what === "save") await checkPoint.save(dir);
    else if (what === "load") await checkPoint.load(dir);
    else await checkPoint.init();
    result = { done: true };
  } catch (error) {
    result = {
      done: false,
      code: error.code,
      flow: error.name === "FlowError",
      message: error.message,
      cause: error.cause?.code,
    };
  }
  console.log(JSON.stringify({ ...result, digest: await digest() }));
}
