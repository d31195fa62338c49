// Reads a digit from an image file and lets a saved LeNet name it: the documented program. Arguments: image (28 x 28, white on
// black; examples/9.png), folder (./lenet_models_1). Pixels are scaled to [0, 1], as the model was trained; the documented
// program scales them by (x - 128) / 255, which shifts its input by a half.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as flow from "onestep";
import { tp } from "onestep";
import { PNG } from "pngjs";
import { lenet } from "./support/lenet.js";

const file = process.argv[2] ?? fileURLToPath(new URL("./9.png", import.meta.url));
const folder = process.argv[3] ?? "./lenet_models_1";

/** The gray values of an image, [1, 1, 28, 28]. */
function loadImage(path: string): flow.NdArray<"float32"> {
  const { width, height, data } = PNG.sync.read(readFileSync(path));
  if (width !== 28 || height !== 28) throw new Error(`${path} is ${width} x ${height}, expected 28 x 28`);
  const gray = Float32Array.from({ length: 28 * 28 }, (_, i) => {
    const [red, green, blue] = data.subarray(4 * i, 4 * i + 3);
    return (0.299 * red! + 0.587 * green! + 0.114 * blue!) / 255; // what converts to gray elsewhere, too
  });
  return new flow.NdArray(gray, [1, 1, 28, 28]);
}

const evalJob = flow.globalFunction(
  { type: "predict", name: "eval_job", returns: tp.Numpy },
  [tp.Numpy.Placeholder([1, 1, 28, 28], { dtype: flow.float })],
  (images) => lenet(images),
);

await new flow.train.CheckPoint().load(folder);
const logits = await evalJob(loadImage(file));
console.log("prediction:", logits.argmax());
