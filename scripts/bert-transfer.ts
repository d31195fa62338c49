// npx tsx scripts/bert-transfer.ts [--seeds 3] [--steps 3000] [--dir runs/bert] [--learning-rate 1e-4] [--shared]: what pretraining is worth. For each seed,
// examples/bert_pretrain.ts makes a model, and examples/bert_finetune.ts trains on few labelled sentences from it and, with the same
// sentences, batches and steps, from initial values (cold). Prints both accuracies and fails where the mean gain is below 5 points.
// `--shared` pretrains once, for all seeds. A model that is there already is used as it is.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "3" },
    steps: { type: "string" },
    dir: { type: "string", default: "runs/bert" },
    "learning-rate": { type: "string" },
    shared: { type: "boolean", default: false },
  },
});

function run(example: string, args: readonly string[]): string {
  const program = fileURLToPath(new URL(`../examples/${example}.ts`, import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, ["--import", "tsx", program, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) throw new Error(`${example} ${args.join(" ")} exited with ${status}:\n${stdout}`);
  return stdout;
}

const accuracyOf = (output: string): number => Number(/^accuracy ([\d.]+) %/m.exec(output)![1]);

const gains: number[] = [];
for (let seed = 1; seed <= Number(values.seeds); seed++) {
  const model = join(values.dir, `seed-${values.shared ? 1 : seed}`);
  if (!existsSync(model)) {
    const steps = values.steps === undefined ? [] : ["--steps", values.steps];
    console.log(run("bert_pretrain", [model, "--seed", String(values.shared ? 1 : seed), ...steps]).trimEnd());
  }
  const rate = values["learning-rate"] === undefined ? [] : ["--learning-rate", values["learning-rate"]];
  const [warm, cold] = [[], ["--cold"]].map((more) =>
    accuracyOf(run("bert_finetune", [model, "--seed", String(seed), ...rate, ...more])),
  ) as [number, number];
  gains.push(warm - cold);
  console.log(
    `seed ${seed}: pretrained ${warm.toFixed(2)} %, cold ${cold.toFixed(2)} %, gain ${(warm - cold).toFixed(2)}`,
  );
}
const mean = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
console.log(`mean gain ${mean.toFixed(2)} points of accuracy`);
if (mean < 5) process.exitCode = 1;
