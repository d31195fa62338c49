// Pretrains a small BERT (2 layers, width 128) on State of the Union addresses: masked words and next sentences. Writes the
// vocabulary it makes to DIR/tokenizer.json and the model to DIR/snapshot_last_snapshot, for bert_finetune.ts.
// `npx tsx examples/bert_pretrain.ts [DIR] [--steps 3000] [--seed 1] [--learning-rate 3e-4] [--addresses 187]`
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as flow from "onestep";
import { tp } from "onestep";
import { bertOptimizer, bertPretrain, bertSmall } from "./models/bert.js";
import { addresses, split } from "./support/addresses.js";
import { pretrainBatch } from "./support/bert-batches.js";
import { random } from "./support/random.js";
import { tokenizerOf, trainWordPiece } from "./support/wordpiece.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: "string", default: "3000" },
    seed: { type: "string", default: "1" },
    "learning-rate": { type: "string", default: "3e-4" },
    addresses: { type: "string", default: "187" },
  },
});
const folder = positionals[0] ?? "./bert_small";
const steps = Number(values.steps);
const seed = Number(values.seed);
const [BATCH_SIZE, PREDICTIONS] = [16, 10];
const { seqLength } = bertSmall;

const { train } = split(addresses());
const texts = train.slice(0, Number(values.addresses)).map(({ sentences }) => sentences);
const vocabulary = trainWordPiece(texts.flat(), bertSmall.vocabSize);
const tokenizer = tokenizerOf(vocabulary);
const documents = texts.map((sentences) =>
  sentences.map((sentence) => tokenizer.encode(sentence, { add_special_tokens: false }).ids),
);
const shape = {
  rows: BATCH_SIZE,
  length: seqLength,
  predictions: PREDICTIONS,
  vocabulary: Object.keys(vocabulary.model.vocab).length,
};
const tokens = documents.flat().reduce((sum, sentence) => sum + sentence.length, 0);
console.log(`${texts.length} addresses, ${tokens} tokens, a vocabulary of ${shape.vocabulary}`);

flow.config.seed(seed);
const int = (length: number) => tp.Numpy.Placeholder([BATCH_SIZE, length], { dtype: flow.int32 });
const pretrainJob = flow.globalFunction(
  { type: "train", name: "PretrainJob", returns: { totalLoss: tp.Numpy, mlmLoss: tp.Numpy, nspLoss: tp.Numpy } },
  [
    int(seqLength),
    int(seqLength),
    int(seqLength),
    int(PREDICTIONS),
    int(PREDICTIONS),
    tp.Numpy.Placeholder([BATCH_SIZE, PREDICTIONS]),
    int(1),
  ],
  (inputIds, inputMask, segmentIds, maskedLmPositions, maskedLmIds, maskedLmWeights, nextSentenceLabels) => {
    const losses = bertPretrain(
      { inputIds, inputMask, segmentIds },
      { maskedLmPositions, maskedLmIds, maskedLmWeights, nextSentenceLabels },
      bertSmall,
    );
    bertOptimizer(Number(values["learning-rate"]), steps).minimize(losses.totalLoss);
    return losses;
  },
);

const checkPoint = new flow.train.CheckPoint();
await checkPoint.init();
const draw = random(seed);
const sums = { totalLoss: 0, mlmLoss: 0, nspLoss: 0 };
const every = Math.min(100, Math.ceil(steps / 3));
for (let step = 1; step <= steps; step++) {
  const batch = pretrainBatch(documents, shape, draw);
  const losses = await pretrainJob(
    batch.inputIds,
    batch.inputMask,
    batch.segmentIds,
    batch.maskedLmPositions,
    batch.maskedLmIds,
    batch.maskedLmWeights,
    batch.nextSentenceLabels,
  );
  for (const key of ["totalLoss", "mlmLoss", "nspLoss"] as const) sums[key] += losses[key].item() / every;
  if (step % every !== 0) continue;
  const { totalLoss, mlmLoss, nspLoss } = sums;
  console.log(
    `step ${step}: total_loss ${totalLoss.toFixed(3)}, mlm_loss ${mlmLoss.toFixed(3)}, nsp_loss ${nspLoss.toFixed(3)}`,
  );
  Object.assign(sums, { totalLoss: 0, mlmLoss: 0, nspLoss: 0 });
}
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(vocabulary));
await checkPoint.save(join(folder, "snapshot_last_snapshot"));
console.log(`model saved in ${folder}`);
