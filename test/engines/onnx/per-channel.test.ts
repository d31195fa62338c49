import * as flow from "onestep";
import { afterAll, expect, test } from "vitest";
import type { Tensor } from "#src/core/tensor.js";
import { onnx } from "#src/engines/onnx/engine.js";
import { evaluate } from "../../ops/harness.js";

const session = await onnx.open({});
afterAll(() => session.close());

const { relu } = flow.nn;

/** `[2, 2, ...sizes]` with infinities, NaN and zeros among the values. */
function images(sizes: readonly number[], start: number): Tensor {
  const special = [Infinity, -Infinity, Number.NaN, 0, -0];
  const size = 4 * sizes.reduce((product, d) => product * d, 1);
  const data = Float32Array.from({ length: size }, (_, i) => special[(i * 3 + start) % 11] ?? Math.sin(i + start));
  return { dtype: "float32", shape: [2, 2, ...sizes], data };
}

// Few places, some, and those at which a grouped convolution takes over.
test.each([[[2, 2]], [[9, 9]], [[24, 24]], [[33, 32]], [[1100]]])(
  "scale, offset, addend and relu of %j places, with infinities and NaN",
  async (sizes) => {
    const perChannel = (...data: number[]): Tensor => ({
      dtype: "float32",
      shape: [1, 2, ...sizes.map(() => 1)],
      data: Float32Array.from(data),
    });
    const [x, z] = [images(sizes, 0), images(sizes, 5)];
    const inputs = [x, perChannel(1.5, -2), perChannel(0.25, 3), z];
    const outputs = await evaluate(onnx, session, inputs, (x, s, t, z) => [
      x!.mul(s!).add(t!),
      x!.mul(s!).add(t!).add(z!),
      z!.add(t!.add(s!.mul(x!))),
      relu(x!.mul(s!).add(t!)),
      relu(x!.mul(s!).add(t!).add(z!)),
      x!.sub(s!),
      x!.mul(s!),
    ]);
    const places = x.data.length / 4;
    const max0 = (value: number): number => (Number.isNaN(value) ? value : Math.max(value, 0));
    const expected = (of: (x: number, s: number, t: number, z: number) => number): number[] =>
      Array.from({ length: 4 * places }, (_, i) => {
        const c = Math.floor(i / places) % 2;
        return of(Number(x.data[i]), [1.5, -2][c]!, [0.25, 3][c]!, Number(z.data[i]));
      });
    const formulas = [
      expected((x, s, t) => x * s + t),
      expected((x, s, t, z) => x * s + t + z),
      expected((x, s, t, z) => x * s + t + z),
      expected((x, s, t) => max0(x * s + t)),
      expected((x, s, t, z) => max0(x * s + t + z)),
      expected((x, s) => x - s),
      expected((x, s) => x * s),
    ];
    for (const [k, values] of formulas.entries())
      for (const [i, value] of values.entries()) {
        const got = Number(outputs[k]!.data[i]);
        if (Number.isFinite(value)) expect(Math.abs(got - value)).toBeLessThan(1e-5);
        else expect(`${k}: ${got}`).toBe(`${k}: ${value}`);
      }
  },
);
