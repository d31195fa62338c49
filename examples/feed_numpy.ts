// Arrays in, arrays out: a job without variables needs no CheckPoint.
import * as flow from "onestep";
import { tp } from "onestep";

const testJob = flow.globalFunction(
  { name: "test_job", returns: [tp.Numpy, tp.Numpy] },
  [tp.Numpy.Placeholder([32, 1, 28, 28], { dtype: flow.float }), tp.Numpy.Placeholder([32], { dtype: flow.int32 })],
  (images, labels) => [images, labels],
);

const imagesIn = Float32Array.from({ length: 32 * 28 * 28 }, () => 2 * Math.random() - 1);
const labelsIn = Int32Array.from({ length: 32 }, () => Math.floor(10 * Math.random()));
const [images, labels] = await testJob(imagesIn, labelsIn);
console.log(images.shape, labels.shape);
