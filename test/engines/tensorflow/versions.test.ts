import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type DType, isFloat } from "#src/core/dtype.js";
import type { TensorFlowNode } from "#src/engines/tensorflow/encode.js";
import { tensorflow } from "#src/engines/tensorflow/engine.js";
import { lowerJob, lowerVariable } from "#src/engines/tensorflow/lower/model.js";
import { pools } from "#src/engines/tensorflow/rewrite.js";
import { compile } from "#src/job/compile.js";
import { JobVariables, VariableRegistry } from "#src/variables/registry.js";
import { rows as binary } from "../../ops/binary.cases.js";
import { rows as conv } from "../../ops/conv.cases.js";
import { rows as elementwise } from "../../ops/elementwise.cases.js";
import { graphOf, withGradients } from "../../ops/harness.js";
import { rows as indexing } from "../../ops/indexing.cases.js";
import { rows as linalg } from "../../ops/linalg.cases.js";
import { rows as loss } from "../../ops/loss.cases.js";
import { rows as norm } from "../../ops/norm.cases.js";
import { rows as parts } from "../../ops/parts.cases.js";
import { rows as reduce } from "../../ops/reduce.cases.js";
import type { Row } from "../../ops/rows.js";
import { rows as structure } from "../../ops/structure.cases.js";
import { rows as unary } from "../../ops/unary.cases.js";

const rows: readonly Row[] = [
  ...[elementwise, unary, binary, structure, parts, reduce, indexing, linalg, conv, loss, norm].flat(),
];

// Names and attributes of the ops of TensorFlow 2.9.3, from the wrappers in its Python package (gen_*_ops.py).
const known = JSON.parse(readFileSync(new URL("./ops-2.9.json", import.meta.url), "utf8")) as Readonly<
  Record<string, readonly string[]>
>;

/** What TensorFlow 2.9 does not know of these nodes. */
const unknown = (nodes: readonly TensorFlowNode[]): readonly string[] => {
  const found = nodes.flatMap(({ op, attributes }) =>
    known[op] === undefined
      ? [op]
      : Object.keys(attributes)
          .filter((name) => !known[op]!.includes(name))
          .map((name) => `${op}.${name}`),
  );
  return [...new Set(found)];
};

test("every row of the conformance suite and its gradients become ops and attributes that TensorFlow 2.9 has", () => {
  const used = new Set<string>();
  for (const row of rows) {
    for (const float of ["float32", "float64"] as const) {
      const types = row.inputs.map(({ shape, dtype = "float" }) => ({
        dtype: dtype === "float" ? float : (dtype as DType),
        shape,
      }));
      const differentiable = row.differentiable ?? true;
      const y = graphOf("type", types, (...blobs) => [row.call(...blobs)]).graph.outputs[0]!;
      const all = differentiable ? [...types, { dtype: y.dtype, shape: y.shape }] : types;
      if (differentiable && !isFloat(y.dtype)) continue;
      const { builder } = graphOf("job", all, differentiable ? withGradients(row.call) : (...b) => [row.call(...b)]);
      const variables = new JobVariables(new VariableRegistry(), builder);
      const traced = { builder, variables, objective: undefined, watches: [] };
      const { whole } = compile(traced, tensorflow, { checkNumerics: false, variant: "" });
      const { nodes } = lowerJob("j0", pools(whole.native.graph, whole.native.context), () => "v0");
      expect(unknown(nodes), row.op).toEqual([]);
      for (const { op } of nodes) used.add(op);
    }
  }
  expect(used.size).toBeGreaterThan(40);
});

test("so do variables, and the list tells what is too new", () => {
  for (const dtype of ["float32", "float64", "float16", "int8", "uint8", "int32", "int64"] as const)
    expect(unknown(lowerVariable("v0", { dtype, shape: [2] }).nodes)).toEqual([]);
  const later: TensorFlowNode = { op: "SegmentSumV2", name: "n", inputs: [], attributes: {} };
  const attribute: TensorFlowNode = {
    op: "BatchMatMulV2",
    name: "n",
    inputs: [],
    attributes: { T: { type: "float32" }, grad_x: { bool: true } },
  };
  expect(unknown([later, attribute])).toEqual(["SegmentSumV2", "BatchMatMulV2.grad_x"]);
});
