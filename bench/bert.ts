// npx tsx bench/bert.ts [--engine onnx] [--steps 5]: BERT-base at full size, batch 4, 128 tokens, pretrained with the documented
// AdamW. Prints the time to trace, differentiate and compile (the engine's session included), to initialise, and of each step.
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import * as flow from "onestep";
import { tp } from "onestep";
import { bertBase, bertOptimizer, bertPretrain } from "../examples/models/bert.js";

const { values } = parseArgs({
  options: {
    engine: { type: "string", default: "onnx" },
    steps: { type: "string", default: "5" },
    layers: { type: "string", default: "12" },
  },
});
const [batch, predictions] = [4, 20];
const config = { ...bertBase, numHiddenLayers: Number(values.layers) };
flow.config.engine(values.engine);
flow.config.seed(1);

const int = (length: number) => tp.Numpy.Placeholder([batch, length], { dtype: flow.int32 });
const sequence = int(config.seqLength);
const job = flow.globalFunction(
  { type: "train", name: "PretrainJob", returns: tp.Numpy },
  [
    sequence,
    sequence,
    sequence,
    int(predictions),
    int(predictions),
    tp.Numpy.Placeholder([batch, predictions]),
    int(1),
  ],
  (inputIds, inputMask, segmentIds, maskedLmPositions, maskedLmIds, maskedLmWeights, nextSentenceLabels) => {
    const { totalLoss } = bertPretrain(
      { inputIds, inputMask, segmentIds },
      { maskedLmPositions, maskedLmIds, maskedLmWeights, nextSentenceLabels },
      config,
    );
    bertOptimizer(1e-4, 100).minimize(totalLoss);
    return totalLoss;
  },
);

let since = performance.now();
const lap = (): number => {
  const ms = performance.now() - since;
  since = performance.now();
  return ms;
};
const { parameters, flop } = await flow.describe(job);
const compiled = lap();
await new flow.train.CheckPoint().init();
const initialised = lap();

const filled = (length: number, of: (i: number) => number): Int32Array<ArrayBuffer> =>
  Int32Array.from({ length: batch * length }, (_, i) => of(i));
const feeds = [
  filled(config.seqLength, (i) => 1000 + ((i * 7919) % 20000)),
  filled(config.seqLength, () => 1),
  filled(config.seqLength, (i) => (i % config.seqLength < 64 ? 0 : 1)),
  filled(predictions, (i) => 1 + 6 * (i % predictions)),
  filled(predictions, (i) => 1000 + i),
  new Float32Array(batch * predictions).fill(1),
  filled(1, (i) => i % 2),
] as const;
const steps: number[] = [];
const losses: number[] = [];
for (let i = 0; i < Number(values.steps); i++) {
  lap();
  losses.push((await job(...feeds)).item());
  steps.push(lap());
}
const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
const best = Math.min(...steps);
console.log(
  [
    `${cpus()[0]!.model.trim()}, ${cpus().length} threads, Node ${process.version}, engine ${values.engine}`,
    `BERT, ${config.numHiddenLayers} layers, batch ${batch}, ${config.seqLength} tokens, AdamW: ${(parameters.total / 1e6).toFixed(1)} million parameters`,
    `traced, differentiated and compiled in ${seconds(compiled)}; initialised in ${seconds(initialised)}`,
    `steps ${steps.map(seconds).join(" ")}; ${(flop.call / best / 1e6).toFixed(0)} GFLOP/s at best`,
    `losses ${losses.map((loss) => loss.toFixed(3)).join(" ")}; peak memory ${(process.resourceUsage().maxRSS / 2 ** 20).toFixed(1)} GiB`,
  ].join("\n"),
);
