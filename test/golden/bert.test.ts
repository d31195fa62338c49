import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { describe, expect, test } from "vitest";
import { formula } from "../../bench/cases.js";
import {
  type BertConfig,
  bertClassifier,
  bertOptimizer,
  bertPretrain,
  bertSquad,
  squadLoss,
} from "../../examples/models/bert.js";
import { isReady } from "../engines/ready.js";
import { scratch } from "../jobs/support.js";

interface Values {
  readonly norm: number;
  readonly first: readonly number[];
}
type Table = readonly (readonly number[])[];
const golden = JSON.parse(readFileSync(new URL("./bert.json", import.meta.url), "utf8")) as {
  readonly config: BertConfig;
  readonly inputs: Readonly<
    Record<"inputIds" | "inputMask" | "segmentIds" | "positions" | "masked" | "weights" | "labels", Table>
  >;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly mlm: number;
  readonly nsp: number;
  readonly squad: readonly number[];
  readonly classifier: Table;
  /** After one step: the slot m, which is a tenth of the clipped gradient, and the new values. */
  readonly variables: Readonly<Record<string, { readonly m: Values; readonly after: Values }>>;
};
const { inputs } = golden;
const config: BertConfig = { ...golden.config, hiddenDropoutProb: 0, attentionProbsDropoutProb: 0 };

/** The formula's weights, in OneFlow's layout. */
function givenWeights(): string {
  const folder = join(scratch(), "weights");
  mkdirSync(join(folder, "snapshot_done"), { recursive: true });
  for (const [t, [name, shape]] of Object.entries(golden.shapes).entries()) {
    const size = shape.reduce((a, b) => a * b);
    mkdirSync(join(folder, name));
    const gain = name.includes("gamma") ? 1 : 0;
    writeFileSync(
      join(folder, name, "out"),
      formula(t, size, 0.3).map((value) => value + gain),
    );
  }
  return folder;
}

/** Within 1e-4 of the value, or of a scale that is larger. */
const near = (got: number, expected: number, scale = 0): void =>
  expect(Math.abs(got - expected)).toBeLessThan(1e-4 * Math.max(scale, Math.abs(expected)));

const [rows, length] = [inputs.inputIds.length, config.seqLength];
const int = (columns: number) => tp.Numpy.Placeholder([rows, columns], { dtype: flow.int32 });
const sequence = [int(length), int(length), int(length)] as const;
const fed = [inputs.inputIds, inputs.inputMask, inputs.segmentIds] as const;

for (const engine of ["onnx", "tensorflow", "reference"])
  describe.skipIf(!isReady(engine))(`${engine}: a tiny BERT is PyTorch's`, () => {
    test("SQuAD and classification, forward", async () => {
      flow.config.engine(engine);
      const squad = flow.globalFunction(
        { name: "squad", returns: tp.Numpy },
        [...sequence, int(1), int(1)],
        (inputIds, inputMask, segmentIds, start, end) =>
          squadLoss(bertSquad({ inputIds, inputMask, segmentIds }, config), start, end),
      );
      const classifier = flow.globalFunction(
        { name: "classifier", returns: tp.Numpy },
        [...sequence],
        (inputIds, inputMask, segmentIds) => bertClassifier({ inputIds, inputMask, segmentIds }, config),
      );
      await new flow.train.CheckPoint().load(givenWeights());
      const ends = [0, 1].map((at) => inputs.positions.map((row) => [row[at]!])) as [number[][], number[][]];
      const losses = await squad(...fed, ...ends);
      const logits = await classifier(...fed);
      for (const [i, value] of golden.squad.entries()) near(losses.data[i] as number, value);
      for (const [i, value] of golden.classifier.flat().entries()) near(logits.data[i] as number, value, 1);
    });

    test("one step of pretraining", async () => {
      flow.config.engine(engine);
      const step = flow.globalFunction(
        { type: "train", name: "step", returns: [tp.Numpy, tp.Numpy] },
        [...sequence, int(2), int(2), tp.Numpy.Placeholder([rows, 2]), int(1)],
        (inputIds, inputMask, segmentIds, maskedLmPositions, maskedLmIds, maskedLmWeights, nextSentenceLabels) => {
          const { totalLoss, mlmLoss, nspLoss } = bertPretrain(
            { inputIds, inputMask, segmentIds },
            { maskedLmPositions, maskedLmIds, maskedLmWeights, nextSentenceLabels },
            config,
          );
          // So few steps have no warm-up, and the first of them has the whole rate.
          bertOptimizer(0.01, 9).minimize(totalLoss);
          return [mlmLoss, nspLoss];
        },
      );
      const checkPoint = new flow.train.CheckPoint();
      await checkPoint.load(givenWeights(), { exclude: ["classification-*", "cls-squad-*"] });
      const [mlm, nsp] = await step(...fed, inputs.positions, inputs.masked, inputs.weights, inputs.labels);
      near(mlm.item(), golden.mlm);
      near(nsp.item(), golden.nsp);
      const folder = join(scratch(), "after");
      await checkPoint.save(folder);
      const read = (name: string): Float32Array => {
        const bytes = readFileSync(join(folder, name, "out"));
        return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
      };
      for (const [name, { m, after }] of Object.entries(golden.variables))
        for (const [values, { norm, first }] of [
          [read(`${name}-m`), m],
          [read(name), after],
        ] as const) {
          // Keys' biases shift all scores of a row alike: their gradient is 0 but for rounding, and all of them together have norm 1.
          if (norm < 1e-12) {
            expect(Math.hypot(...values)).toBeLessThan(1e-8);
            continue;
          }
          near(Math.hypot(...values), norm);
          for (const [i, value] of first.entries()) near(values[i]!, value, norm / Math.sqrt(values.length));
        }
    });
  });
