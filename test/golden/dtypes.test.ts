import { describe, expect, test } from "vitest";
import type { DType } from "#src/core/dtype.js";
import { onnx } from "#src/engines/onnx/engine.js";
import { reference } from "#src/engines/reference/engine.js";
import { tensorflow } from "#src/engines/tensorflow/engine.js";
import { isReady } from "../engines/ready.js";
import { evaluate, numbers, tensorOf } from "../ops/harness.js";
import { type Case, call, readCases, type Values } from "./cases.js";

// By numpy: test/golden/dtypes.py. The cases of a dtype are one job, so that hundreds of them take a few loads.
const cases = readCases("dtypes.json");
const dtypeOf = ({ inputs, output }: Case): DType => (inputs[0] ?? output).dtype;
const dtypes = [...new Set(cases.map(dtypeOf))];
const tensor = ({ dtype, shape, data }: Values) => tensorOf(dtype, shape, data.map(Number));

describe.each([reference, onnx, ...(isReady("tensorflow") ? [tensorflow] : [])])("$name equals numpy", (engine) => {
  test.each(dtypes)("in %s", async (dtype) => {
    const some = cases.filter((golden) => dtypeOf(golden) === dtype);
    const session = await engine.open({});
    const results = await evaluate(
      engine,
      session,
      some.flatMap(({ inputs }) => inputs.map(tensor)),
      (...blobs) => some.map(({ op, inputs, attrs }) => call(op, attrs, blobs.splice(0, inputs.length))),
    );
    await session.close();
    for (const [i, { op, attrs, inputs, output }] of some.entries()) {
      const got = results[i]!;
      const what = `${op} ${JSON.stringify(attrs)} of ${JSON.stringify(inputs.map(({ data }) => data))}`;
      expect([got.dtype, got.shape], what).toEqual([output.dtype, output.shape]);
      for (const [j, value] of numbers(got).entries())
        expect(Math.abs(value - Number(output.data[j])), `${what}: element ${j} is ${value}`).toBeLessThan(
          output.dtype.startsWith("float") ? 1e-6 : 1e-9,
        );
    }
  });
});

test("every integer dtype goes through every op that takes one of them", () => {
  const seen = (dtype: string): string[] =>
    [
      ...new Set(
        cases.filter(({ inputs, output }) => [...inputs, output].some((v) => v.dtype === dtype)).map(({ op }) => op),
      ),
    ].sort();
  for (const dtype of ["uint8", "int32", "int64"]) expect(seen(dtype)).toEqual(seen("int8"));
  expect(seen("int8").length).toBeGreaterThan(60);
});
