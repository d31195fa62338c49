import * as flow from "onestep";
import { afterAll, expect, test } from "vitest";
import { backpropagate } from "#src/autodiff/backpropagate.js";
import type { Tensor } from "#src/core/tensor.js";
import { onnx } from "#src/engines/onnx/engine.js";
import { lower } from "#src/engines/onnx/lower/model.js";
import { evaluate, graphOf } from "../../ops/harness.js";

const session = await onnx.open({});
afterAll(() => session.close());

const float = (data: Float32Array<ArrayBuffer>): Tensor => ({ dtype: "float32", shape: [64, 80], data });
const special = [Infinity, -Infinity, Number.NaN, 0, -0, 1e-45, -1e38];
const values = (start: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: 5120 }, (_, i) => special[(i * 5 + start) % 13] ?? Math.sin(i + start));

test("the gradient of relu is dy or 0 to the bit, whatever dy is", async () => {
  const [x, dy] = [values(0), values(4)];
  const [dx, twice] = await evaluate(onnx, session, [float(x), float(dy)], (x, dy) => {
    const [gradient] = backpropagate([flow.nn.relu(x!)], [x!], [dy!]);
    return [gradient!, dy!.add(dy!)];
  });
  const expected = dy.map((value, i) => (x[i]! > 0 ? value : 0));
  expect([...(dx!.data as Float32Array)]).toEqual([...expected]);
  expect([...(twice!.data as Float32Array)]).toEqual([...dy.map((value) => 2 * value)]);
});

test("a choice against 0 is a product of bits where it is large, and Where where it is small or against another number", () => {
  const ops = (size: number, other: number): readonly string[] => {
    const { graph } = graphOf("job", [{ dtype: "float32", shape: [size] }], (x) => [
      flow.where(x!.greater(0), x!, other),
    ]);
    return lower("job", graph).nodes.map(({ op }) => op);
  };
  expect(ops(5000, 0)).toEqual(expect.arrayContaining(["BitCast", "Mul"]));
  expect(ops(5000, 0)).not.toContain("Where");
  expect(ops(50, 0)).toContain("Where");
  expect(ops(5000, 1)).toContain("Where");
});
