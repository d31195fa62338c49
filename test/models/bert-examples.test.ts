import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { scratch } from "../jobs/support.js";

function run(example: string, args: readonly string[]): string {
  const program = fileURLToPath(new URL(`../../examples/${example}.ts`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", program, ...args], {
    encoding: "utf8",
    env: { ...process.env, ONESTEP_ENGINE: "onnx" },
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

const lossesOf = (output: string, name: string): number[] =>
  [...output.matchAll(new RegExp(`${name} ([\\d.]+)`, "g"))].map(([, loss]) => Number(loss));

test("a small BERT is pretrained, saved, loaded into a classifier and fine-tuned", { timeout: 180_000 }, () => {
  const folder = join(scratch(), "bert");
  const pretraining = run("bert_pretrain", [folder, "--steps", "30", "--addresses", "4"]);
  const losses = lossesOf(pretraining, "mlm_loss");
  expect(losses).toHaveLength(3);
  expect(losses[2]).toBeLessThan(losses[0]! - 0.1);
  expect(existsSync(join(folder, "tokenizer.json"))).toBe(true);
  expect(existsSync(join(folder, "snapshot_last_snapshot", "snapshot_done"))).toBe(true);

  const finetuning = run("bert_finetune", [
    folder,
    ...["--steps", "20", "--examples", "32", "--test", "100", "--learning-rate", "1e-3"],
  ]);
  const snapshot = join(folder, "snapshot_last_snapshot");
  const missing = [
    "System-Train-TrainStep-BertGlueFinetuneJob",
    "classification-output_bias",
    "classification-output_weights",
  ];
  // The documented line, trailing space included.
  expect(finetuning.split("\n").slice(0, 3)).toEqual(
    missing.map((name) => `WARNING! CANNOT find variable path in : ${snapshot}/${name}/out. It will be initialized. `),
  );
  const fine = lossesOf(finetuning, "loss");
  expect(fine.at(-1)).toBeLessThan(fine[0]!);
  expect(finetuning).toMatch(/^accuracy [\d.]+ % of 100 unseen sentences$/m);
});
