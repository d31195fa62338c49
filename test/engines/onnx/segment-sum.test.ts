import * as flow from "onestep";
import { tp } from "onestep";
import { afterEach, expect, test } from "vitest";

afterEach(() => flow.clearDefaultSession());

test("rows with equal ids are all added, however many threads there are", async () => {
  flow.config.engine("onnx");
  flow.config.computeThreadPoolSize(4);
  const [rows, width] = [4096, 128];
  const sums = flow.globalFunction(
    { type: "predict", name: "sums", returns: tp.Numpy },
    [tp.Numpy.Placeholder([rows, width]), tp.Numpy.Placeholder([rows], { dtype: flow.int32 })],
    (data, ids) => flow.math.unsortedSegmentSum(data, ids, 2),
  );
  // Small whole numbers: their sums have no rounding.
  const data = Float32Array.from({ length: rows * width }, (_, i) => (i * 7) % 5);
  const ids = Int32Array.from({ length: rows }, (_, i) => i % 2);
  const expected = new Float32Array(2 * width);
  data.forEach((value, i) => {
    expected[(Math.floor(i / width) % 2) * width + (i % width)]! += value;
  });
  for (let run = 0; run < 40; run++) expect((await sums(data, ids)).data).toEqual(expected);
});
