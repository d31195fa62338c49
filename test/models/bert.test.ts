import * as flow from "onestep";
import { tp } from "onestep";
import { describe, expect, test } from "vitest";
import {
  type BertConfig,
  type BertInput,
  bertBase,
  bertClassifier,
  bertLarge,
  bertOptimizer,
  bertPretrain,
  bertSquad,
  squadLoss,
} from "../../examples/models/bert.js";
import { isReady } from "../engines/ready.js";
import "../jobs/support.js";

const int = (...shape: number[]) => tp.Numpy.Placeholder(shape, { dtype: flow.int32 });

/** A job of one batch of 2 sequences; describing it traces and compiles it, but gives no variable a value. */
async function described(
  config: BertConfig,
  type: "train" | "predict",
  name: string,
  model: (input: BertInput) => flow.Blob,
): Promise<flow.Description> {
  const sequence = int(2, config.seqLength);
  const job = flow.globalFunction(
    { type, name, returns: tp.Numpy },
    [sequence, sequence, sequence],
    (inputIds, inputMask, segmentIds) => {
      const loss = model({ inputIds, inputMask, segmentIds });
      if (type === "train") bertOptimizer(1e-4, 100).minimize(loss);
      return loss;
    },
  );
  return await flow.describe(job);
}

/** Pretraining on targets that are constant: only their shapes matter here. */
function pretraining(input: BertInput, config: BertConfig): flow.Blob {
  const ints = (length: number): flow.Blob => flow.constant(1, { dtype: flow.int32, shape: [2, length] });
  const targets = {
    maskedLmPositions: ints(20),
    maskedLmIds: ints(20),
    maskedLmWeights: flow.constant(1, { dtype: flow.float, shape: [2, 20] }),
    nextSentenceLabels: ints(1),
  };
  return bertPretrain(input, targets, config).totalLoss;
}

/** Every variable of the backbone, by the documented pattern. */
function backbone({ vocabSize: words, hiddenSize: width, numHiddenLayers }: BertConfig): Record<string, number[]> {
  const norm = (at: string): Record<string, number[]> => ({
    [`${at}-LayerNorm-beta`]: [width],
    [`${at}-LayerNorm-gamma`]: [width],
  });
  const dense = (at: string, from: number, to: number): Record<string, number[]> => ({
    [`${at}-weight`]: [from, to],
    [`${at}-bias`]: [to],
  });
  const layers = Array.from({ length: numHiddenLayers }, (_, i) => {
    const at = `bert-encoder-layer_${i}`;
    return {
      ...dense(`${at}-attention-self-query`, width, width),
      ...dense(`${at}-attention-self-key`, width, width),
      ...dense(`${at}-attention-self-value`, width, width),
      ...dense(`${at}-attention-output-dense`, width, width),
      ...norm(`${at}-attention-output`),
      ...dense(`${at}-intermediate-dense`, width, 4 * width),
      ...dense(`${at}-output-dense`, 4 * width, width),
      ...norm(`${at}-output`),
    };
  });
  return Object.assign(
    {
      "bert-embeddings-word_embeddings": [words, width],
      "bert-embeddings-token_type_embeddings": [2, width],
      "bert-embeddings-position_embeddings": [1, 512, width],
      ...norm("bert-embeddings"),
    },
    ...layers,
  ) as Record<string, number[]>;
}

const pooler = { "bert-pooler-dense-weight": [768, 768], "bert-pooler-dense-bias": [768] };
const shapesOf = ({ variables }: flow.Description): Record<string, readonly number[]> =>
  Object.fromEntries(variables.map(({ name, shape }) => [name, shape]));

describe("variables and parameters are those of the documented programs", () => {
  test("pretraining, base: 206 variables, 110,106,428 parameters", async () => {
    const description = await described(bertBase, "predict", "PretrainJob", (input) => pretraining(input, bertBase));
    expect(shapesOf(description)).toEqual({
      ...backbone(bertBase),
      ...pooler,
      "cls-predictions-transform-dense-weight": [768, 768],
      "cls-predictions-transform-dense-bias": [768],
      "cls-predictions-transform-LayerNorm-beta": [768],
      "cls-predictions-transform-LayerNorm-gamma": [768],
      "cls-predictions-output_bias": [30522],
      "cls-seq_relationship-output_weights": [2, 768],
      "cls-seq_relationship-output_bias": [2],
    });
    expect(description.variables).toHaveLength(206);
    expect(description.parameters.total).toBe(110_106_428);
    // The sheet's 46.6 GFLOP counts products; ours counts the other ops too.
    expect(description.flop.forward / 46.6e9).toBeCloseTo(1, 1);
  });

  test("SQuAD, base: 199 variables, 108,893,186 parameters, no pooler", async () => {
    const description = await described(bertBase, "predict", "SquadDevJob", (input) => {
      const zeros = flow.constant(0, { dtype: flow.int32, shape: [2, 1] });
      return squadLoss(bertSquad(input, bertBase), zeros, zeros);
    });
    expect(shapesOf(description)).toEqual({
      ...backbone(bertBase),
      "cls-squad-output-weight": [768, 2],
      "cls-squad-output-bias": [2],
    });
    expect(description.variables).toHaveLength(199);
    expect(description.parameters.total).toBe(108_893_186);
  });

  test("GLUE, base: 201 variables, 109,483,778 parameters, all trained", async () => {
    const description = await described(bertBase, "train", "BertGlueFinetuneJob", (input) => {
      const labels = flow.constant(0, { dtype: flow.int32, shape: [2, 1] });
      return flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, bertClassifier(input, bertBase));
    });
    expect(shapesOf(description)).toEqual({
      ...backbone(bertBase),
      ...pooler,
      "classification-output_weights": [2, 768],
      "classification-output_bias": [2],
    });
    expect(description.variables).toHaveLength(201);
    expect(description.parameters).toEqual({ total: 109_483_778, trained: 109_483_778 });
    // Two slots of each, and the step counter.
    expect(description.memory.optimizer).toBe(2 * 4 * 109_483_778 + 8);
  });

  test("pretraining, large: 398 variables, 336,226,108 parameters", async () => {
    const description = await described(bertLarge, "predict", "PretrainJob", (input) => pretraining(input, bertLarge));
    expect(description.variables).toHaveLength(398);
    expect(description.parameters.total).toBe(336_226_108);
  });
});

for (const engine of ["onnx", "tensorflow"])
  describe.skipIf(!isReady(engine))(`${engine}: a small BERT learns a batch by heart`, () => {
    const config: BertConfig = {
      vocabSize: 60,
      seqLength: 12,
      hiddenSize: 32,
      numHiddenLayers: 2,
      numAttentionHeads: 2,
      maxPositionEmbeddings: 16,
    };
    const sequences = [
      Array.from({ length: 4 }, (_, b) => Array.from({ length: 12 }, (_unused, s) => (5 + 11 * b + 3 * s) % 60)),
      Array.from({ length: 4 }, (_, b) => Array.from({ length: 12 }, (_unused, s) => (s < 12 - b ? 1 : 0))),
      Array.from({ length: 4 }, () => Array.from({ length: 12 }, (_unused, s) => (s < 6 ? 0 : 1))),
    ] as const;
    const labels = [[0], [1], [1], [0]];
    const input = [int(4, 12), int(4, 12), int(4, 12)] as const;

    test("pretraining", async () => {
      flow.config.engine(engine);
      flow.config.seed(1);
      const job = flow.globalFunction(
        { type: "train", name: "PretrainJob", returns: { mlmLoss: tp.Numpy, nspLoss: tp.Numpy } },
        [...input, int(4, 2), int(4, 2), tp.Numpy.Placeholder([4, 2]), int(4, 1)],
        (inputIds, inputMask, segmentIds, maskedLmPositions, maskedLmIds, maskedLmWeights, nextSentenceLabels) => {
          const { totalLoss, mlmLoss, nspLoss } = bertPretrain(
            { inputIds, inputMask, segmentIds },
            { maskedLmPositions, maskedLmIds, maskedLmWeights, nextSentenceLabels },
            config,
          );
          bertOptimizer(5e-3, 40).minimize(totalLoss);
          return { mlmLoss, nspLoss };
        },
      );
      await new flow.train.CheckPoint().init();
      const masked = [
        [
          [1, 3],
          [2, 5],
          [4, 7],
          [1, 0],
        ],
        [
          [9, 8],
          [7, 6],
          [5, 4],
          [3, 0],
        ],
        [
          [1, 1],
          [1, 1],
          [1, 1],
          [1, 0],
        ],
      ] as const;
      const losses = [];
      for (let i = 0; i < 40; i++) losses.push(await job(...sequences, ...masked, labels));
      // ln 60 = 4.1 and ln 2 = 0.69 to begin with.
      expect(losses[0]!.mlmLoss.item()).toBeGreaterThan(3.8);
      expect(losses.at(-1)!.mlmLoss.item()).toBeLessThan(2);
      expect(losses.at(-1)!.nspLoss.item()).toBeLessThan(0.3);
    });

    test("classification", async () => {
      flow.config.engine(engine);
      flow.config.seed(1);
      const job = flow.globalFunction(
        { type: "train", name: "BertGlueFinetuneJob", returns: tp.Numpy },
        [...input, int(4, 1)],
        (inputIds, inputMask, segmentIds, label) => {
          const logits = bertClassifier({ inputIds, inputMask, segmentIds }, config);
          const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(label, logits);
          bertOptimizer(3e-3, 20).minimize(loss);
          return loss;
        },
      );
      await new flow.train.CheckPoint().init();
      const losses = [];
      for (let i = 0; i < 20; i++) losses.push((await job(...sequences, labels)).mean());
      expect(losses[0]).toBeGreaterThan(0.6);
      expect(losses.at(-1)).toBeLessThan(0.3);
    });
  });
