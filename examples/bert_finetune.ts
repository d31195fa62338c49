// Fine-tunes the small BERT that bert_pretrain.ts saved in DIR to tell the century of a sentence: is it from an address given before
// 1900, or after? Few sentences are labelled; accuracy is measured on addresses that pretraining never saw. `--cold` starts from
// initial values instead of the saved model. `npx tsx examples/bert_finetune.ts [DIR] [--cold] [--examples 128] [--steps 100]
// [--seed 1] [--learning-rate 1e-4] [--test 2000]`
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as flow from "onestep";
import { tp } from "onestep";
import { bertClassifier, bertOptimizer, bertSmall } from "./models/bert.js";
import { type Address, addresses, split } from "./support/addresses.js";
import { passages } from "./support/bert-batches.js";
import { below, random } from "./support/random.js";
import { type TokenizerJson, tokenizerOf } from "./support/wordpiece.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cold: { type: "boolean", default: false },
    examples: { type: "string", default: "128" },
    steps: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
    "learning-rate": { type: "string", default: "1e-4" },
    test: { type: "string", default: "2000" },
  },
});
const folder = positionals[0] ?? "./bert_small";
const steps = Number(values.steps);
const seed = Number(values.seed);
const [BATCH_SIZE, EVAL_SIZE] = [16, 100];
// Sentences are shorter than the pairs of pretraining, and the position table is the same at any length.
const config = { ...bertSmall, seqLength: 32 };
const { seqLength } = config;

const tokenizer = tokenizerOf(JSON.parse(readFileSync(join(folder, "tokenizer.json"), "utf8")) as TokenizerJson);

interface Example {
  readonly ids: readonly number[];
  /** 0 before 1900, 1 after. */
  readonly label: number;
}

/** That many sentences drawn from these addresses, half of each century. */
function labelled(from: readonly Address[], count: number, draw: () => number): readonly Example[] {
  const centuries = [0, 1].map((label) => from.filter(({ year }) => (year < 1900 ? 0 : 1) === label));
  return Array.from({ length: count }, (_, i) => {
    const label = i % 2;
    const { sentences } = centuries[label]![below(draw, centuries[label]!.length)]!;
    const sentence = sentences[below(draw, sentences.length)]!;
    return { ids: tokenizer.encode(sentence, { add_special_tokens: false }).ids, label };
  });
}

const { train, test } = split(addresses());
const draw = random(seed);
const training = labelled(train, Number(values.examples), draw);
const testing = labelled(test, Number(values.test), random(0));

flow.config.seed(seed);
const int = (rows: number, length: number) => tp.Numpy.Placeholder([rows, length], { dtype: flow.int32 });
const finetuneJob = flow.globalFunction(
  { type: "train", name: "BertGlueFinetuneJob", returns: tp.Numpy },
  [int(BATCH_SIZE, seqLength), int(BATCH_SIZE, seqLength), int(BATCH_SIZE, seqLength), int(BATCH_SIZE, 1)],
  (inputIds, inputMask, segmentIds, labels) => {
    const logits = bertClassifier({ inputIds, inputMask, segmentIds }, config);
    const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits);
    bertOptimizer(Number(values["learning-rate"]), steps).minimize(loss);
    return loss;
  },
);
const evalJob = flow.globalFunction(
  { type: "predict", name: "BertGlueEvalValJob", returns: tp.Numpy },
  [int(EVAL_SIZE, seqLength), int(EVAL_SIZE, seqLength), int(EVAL_SIZE, seqLength)],
  (inputIds, inputMask, segmentIds) => bertClassifier({ inputIds, inputMask, segmentIds }, config),
);

const checkPoint = new flow.train.CheckPoint();
if (values.cold) await checkPoint.init();
// Pretraining's optimizer slots and its place in the random sequence stay behind.
else await checkPoint.load(join(folder, "snapshot_last_snapshot"), { exclude: ["*-m", "*-v"], resume: false });

for (let step = 1; step <= steps; step++) {
  const rows = Array.from({ length: BATCH_SIZE }, () => training[below(draw, training.length)]!);
  const batch = passages(
    rows.map(({ ids }) => ids),
    seqLength,
  );
  const labels = Int32Array.from(rows, ({ label }) => label);
  const loss = await finetuneJob(batch.inputIds, batch.inputMask, batch.segmentIds, labels);
  if (step % Math.ceil(steps / 5) === 0) console.log(`step ${step}: loss ${loss.mean().toFixed(3)}`);
}

let right = 0;
for (let start = 0; start + EVAL_SIZE <= testing.length; start += EVAL_SIZE) {
  const rows = testing.slice(start, start + EVAL_SIZE);
  const batch = passages(
    rows.map(({ ids }) => ids),
    seqLength,
  );
  const predicted = (await evalJob(batch.inputIds, batch.inputMask, batch.segmentIds)).argmax(1).data;
  right += rows.filter(({ label }, i) => label === predicted[i]).length;
}
console.log(`accuracy ${((100 * right) / testing.length).toFixed(2)} % of ${testing.length} unseen sentences`);
