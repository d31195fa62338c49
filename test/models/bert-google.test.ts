import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { type BertInput, bertBase, bertClassifier, bertOptimizer } from "../../examples/models/bert.js";
import { scratch } from "../jobs/support.js";

/** The variables of Google's pretrained BERT-base, uncased: names and shapes of the published checkpoint's list. */
function googleVariables(): ReadonlyMap<string, readonly number[]> {
  const [words, width] = [30522, 768];
  const list: [string, number[]][] = [
    ["bert/embeddings/word_embeddings", [words, width]],
    ["bert/embeddings/token_type_embeddings", [2, width]],
    ["bert/embeddings/position_embeddings", [512, width]],
    ["cls/predictions/output_bias", [words]],
    ["cls/seq_relationship/output_weights", [2, width]],
    ["cls/seq_relationship/output_bias", [2]],
  ];
  const dense = (at: string, from: number, to: number): unknown =>
    list.push([`${at}/kernel`, [from, to]], [`${at}/bias`, [to]]);
  const norm = (at: string): unknown =>
    list.push([`${at}/LayerNorm/beta`, [width]], [`${at}/LayerNorm/gamma`, [width]]);
  norm("bert/embeddings");
  for (let i = 0; i < 12; i++) {
    const at = `bert/encoder/layer_${i}`;
    for (const part of ["query", "key", "value"]) dense(`${at}/attention/self/${part}`, width, width);
    dense(`${at}/attention/output/dense`, width, width);
    norm(`${at}/attention/output`);
    dense(`${at}/intermediate/dense`, width, 4 * width);
    dense(`${at}/output/dense`, 4 * width, width);
    norm(`${at}/output`);
  }
  dense("bert/pooler/dense", width, width);
  dense("cls/predictions/transform/dense", width, width);
  norm("cls/predictions/transform");
  return new Map(list.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A safetensors file of full size: each array starts with its number and ends with minus that, zeros (holes in the file) between. */
function writeGoogleFile(path: string): void {
  let end = 0;
  const header: Record<string, object> = {};
  for (const [name, shape] of googleVariables()) {
    const bytes = 4 * shape.reduce((a, b) => a * b);
    header[name] = { dtype: "F32", shape, data_offsets: [end, (end += bytes)] };
  }
  let text = JSON.stringify(header);
  text += " ".repeat((8 - (text.length % 8)) % 8);
  const file = openSync(path, "w");
  writeSync(file, new BigUint64Array([BigInt(text.length)]), 0, 8, 0);
  writeSync(file, text, 8);
  ftruncateSync(file, 8 + text.length + end);
  for (const [i, { data_offsets }] of (Object.values(header) as { data_offsets: [number, number] }[]).entries()) {
    writeSync(file, new Float32Array([i + 1]), 0, 4, 8 + text.length + data_offsets[0]);
    writeSync(file, new Float32Array([-i - 1]), 0, 4, 8 + text.length + data_offsets[1] - 4);
  }
  closeSync(file);
}

test("a full-size checkpoint of Google's goes through the preset into the GLUE jobs", {
  timeout: 120_000,
}, async () => {
  flow.config.seed(1);
  const folder = scratch();
  const [file, model] = [join(folder, "google.safetensors"), join(folder, "bert")];
  writeGoogleFile(file);
  const { variables } = await flow.formats.convert(file, model, { preset: "bert-tensorflow" });
  expect(variables).toHaveLength(206);
  for (const [i, { from, to }] of variables.entries()) {
    expect(from).toBe([...googleVariables().keys()][i]);
    const bytes = readFileSync(join(model, to, "out"));
    expect([bytes.readFloatLE(0), bytes.readFloatLE(bytes.length - 4)]).toEqual([i + 1, -i - 1]);
  }

  const int = (length: number) => tp.Numpy.Placeholder([1, length], { dtype: flow.int32 });
  const input = [int(128), int(128), int(128)] as const;
  const logits = (inputIds: flow.Blob, inputMask: flow.Blob, segmentIds: flow.Blob): flow.Blob =>
    bertClassifier({ inputIds, inputMask, segmentIds } satisfies BertInput, bertBase);
  flow.globalFunction({ type: "predict", name: "BertGlueEvalValJob", returns: tp.Numpy }, [...input], logits);
  const corners = flow.globalFunction({ name: "corners", returns: [tp.Numpy, tp.Numpy] }, () => {
    const initializer = flow.truncatedNormal(0.02);
    const positions = flow.getVariable("bert-embeddings-position_embeddings", { shape: [1, 512, 768], initializer });
    const head = flow.getVariable("classification-output_weights", {
      shape: [2, 768],
      initializer: flow.randomNormalInitializer(0, 0.02),
    });
    return [flow.slice(positions, [0, 511, 767], [1, 1, 1]), flow.math.reduceStd(head)];
  });
  const report = await new flow.train.CheckPoint().load(model);
  expect(report.loaded).toHaveLength(199);
  expect(report.initialized).toEqual(["classification-output_bias", "classification-output_weights"]);
  expect(report.unused).toEqual([
    "cls-predictions-output_bias",
    "cls-predictions-transform-LayerNorm-beta",
    "cls-predictions-transform-LayerNorm-gamma",
    "cls-predictions-transform-dense-bias",
    "cls-predictions-transform-dense-weight",
    "cls-seq_relationship-output_bias",
    "cls-seq_relationship-output_weights",
  ]);
  const [corner, deviation] = await corners();
  const place = [...googleVariables().keys()].indexOf("bert/embeddings/position_embeddings");
  expect(corner.item()).toBe(-place - 1);
  expect(deviation.item()).toBeCloseTo(0.02, 3);

  // The train job adds two slots for each of 201 variables and a step counter: those start anew.
  await flow.clearDefaultSession();
  flow.globalFunction(
    { type: "train", name: "BertGlueFinetuneJob", returns: tp.Numpy },
    [...input, int(1)],
    (inputIds, inputMask, segmentIds, labels) => {
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits(inputIds, inputMask, segmentIds));
      bertOptimizer(1e-5, 100).minimize(loss);
      return loss;
    },
  );
  const plan = await new flow.train.CheckPoint().load(model, { dryRun: true });
  expect(plan.loaded).toHaveLength(199);
  expect(plan.initialized).toHaveLength(2 + 2 * 201 + 1);
});
